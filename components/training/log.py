"""The log of a run: one JSON line each logging step, read while the run goes on and after it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from components.files import faults_of_the_disk, write_text

LOG = "log.jsonl"


def append(folder: Path, record: dict[str, Any]) -> None:
    """Add a line; readers see whole lines only."""
    with faults_of_the_disk(folder / LOG), (folder / LOG).open("a") as file:
        file.write(json.dumps(record) + "\n")


def read(folder: Path) -> list[dict[str, Any]]:
    """All records so far; a line that a kill cut short is left out."""
    path = folder / LOG
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]


def cut(folder: Path, step: int) -> None:
    """Forget what was logged after `step`: a resumed run takes those steps again, and logs them once."""
    write_text(folder / LOG, "".join(json.dumps(r) + "\n" for r in read(folder) if r["step"] <= step))


def table(records: list[dict[str, Any]], part: str) -> str:
    """One kind of figure (`terms` or `validation`) as CSV by step, with nothing of time in it."""
    rows = [{"step": r["step"], **r[part]} for r in records if r.get(part)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns or ["step"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
