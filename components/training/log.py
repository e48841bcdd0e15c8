"""The log of a run: one JSON line each logging step, read while the run goes on and after it."""

import csv
import io
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from upath import UPath

from components.storage import remote
from components.storage.files import faults_of_the_disk, read_bytes, write_text
from components.storage.home import AnyPath
from components.training.alarms import ALARMS, Alarms
from components.training.uploaded_text import UploadedText

LOG = "log.jsonl"


class Log:
    """The log as rank 0 writes it.

    On a disk a line is appended where it belongs. An object store cannot append: there the lines are spooled
    on this machine, and a thread uploads the whole every few seconds, so no step waits for it. `flush` does,
    and is called before each checkpoint: whatever a resumed run keeps is there.

    Args:
        folder: of the run.
        step: records after this step are forgotten: a resumed run takes those steps again, and logs them once.

    Raises:
        Fault: the folder cannot be written to.
    """

    def __init__(self, folder: AnyPath, step: int) -> None:
        self.path = folder / LOG
        records = [record for record in read(folder) if record["step"] <= step]
        self._alarms = Alarms(records)
        text = "".join(json.dumps(record) + "\n" for record in records)
        self._spool = UploadedText(self.path, text) if not isinstance(self.path, Path) else None
        if self._spool is None:
            write_text(self.path, text)

    def append(self, record: dict[str, Any]) -> None:
        """Add a line, with the alarms that begin with it; readers see whole lines only."""
        if begun := self._alarms.look(record):
            record = record | {ALARMS: [asdict(alarm) for alarm in begun]}
        line = json.dumps(record) + "\n"
        if self._spool is not None:
            self._spool.append(line)
            return
        assert isinstance(self.path, Path)
        with faults_of_the_disk(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line)

    def flush(self) -> None:
        """Wait until every line is where readers look.

        Raises:
            Fault: the store refuses, or stays away.
        """
        if self._spool is not None:
            self._spool.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            self._spool.close()


class Follower:
    """The log as a reader beside the run sees it: each record once, whoever writes it and where."""

    def __init__(self, folder: AnyPath) -> None:
        self._path = folder / LOG
        self._state: Any = None  # of the file when it was last read: its inode, or an object's size
        self._offset = self._read = self._given = 0

    @property
    def pause(self) -> float:
        """Seconds between two looks: an object costs a request."""
        return 0.5 if isinstance(self._path, Path) else 3.0

    def new(self) -> list[dict[str, Any]]:
        """The records that have been added since the last call.

        A run that is resumed rewrites its log: those of its steps that were handed out are not handed out again.
        """
        try:
            text = self._local(self._path) if isinstance(self._path, Path) else self._remote(self._path)
        except FileNotFoundError:
            return []
        records = _records(text)
        fresh = records[max(0, self._given - self._read) :]
        self._read += len(records)
        self._given = max(self._given, self._read)
        return fresh

    def _local(self, path: Path) -> str:
        """What was added to a file, or all of it if it is another file under the same name."""
        with path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._state:
                self._state, self._offset, self._read = inode, 0, 0
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]  # the last line may be still being written
        self._offset += len(whole)
        return whole.decode()

    def _remote(self, path: UPath) -> str:
        """All of an object whose size has changed."""
        size = remote.size(path)
        if size is None or size == self._state:
            return ""
        self._state, self._read = size, 0
        return remote.read(path).decode()


def read(folder: AnyPath) -> list[dict[str, Any]]:
    """All records so far; a line that a kill cut short is left out."""
    try:
        return _records(read_bytes(folder / LOG).decode())
    except FileNotFoundError:
        return []


def table(records: list[dict[str, Any]], part: str) -> str:
    """One kind of figure (`terms` or `validation`) as CSV by step, with nothing of time in it."""
    rows = [{"step": r["step"], **r[part]} for r in records if r.get(part)]
    return _csv(list(dict.fromkeys(name for row in rows for name in row)) or ["step"], rows)


def curves(records: list[dict[str, Any]], part: str) -> dict[str, str]:
    """As `table`, each figure by itself with the columns `step` and `value`, by `PART.FIGURE`: what DVC plots."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for name, value in record.get(part, {}).items():
            rows.setdefault(f"{part}.{name}", []).append({"step": record["step"], "value": value})
    return {name: _csv(["step", "value"], points) for name, points in rows.items()}


def _csv(columns: list[str], rows: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("}\n")]
