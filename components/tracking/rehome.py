"""The project's own MLflow database after its folder was moved or copied."""

import sqlite3
import sys
from pathlib import Path


def rehome(database: Path, artifacts: Path) -> None:
    """Make a database that was moved or copied name the artifacts that are beside it now.

    MLflow keeps absolute addresses: of an experiment, a run, a logged model and a version. Those below the
    `mlartifacts` of another project folder are changed, all in one transaction; numbers, aliases, tags and
    promotions stay. An original beside a copy is not touched.

    Args:
        artifacts: the folder mlartifacts beside the database.
    """
    here = artifacts.as_uri()
    ending = "/" + "/".join(Path(here).parts[-2:])  # /.pix2pipe/mlartifacts
    with sqlite3.connect(database) as connection:
        found = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for (old,) in found:
            if not (old and old.startswith("file:") and old.endswith(ending) and old != here):
                continue
            for table, column in _text_columns(connection):
                connection.execute(
                    f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '
                    f'WHERE "{column}" = ? OR substr("{column}", 1, ?) = ?',
                    (here, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )
            line = f"tracking: this project was moved or copied from {old}; its registry names {here} now"
            print(line, file=sys.stderr)  # noqa: T201
    connection.close()


def _text_columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [
        (table, column)
        for (table,) in tables
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall()
        if "CHAR" in kind.upper() or "TEXT" in kind.upper()
    ]
