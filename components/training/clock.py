"""Where a run's seconds went, and how fast it was: figures beside the run, not in it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.storage.files import write_json
from components.training.group import Group
from components.training.log import Log
from components.training.run import Run

THROUGHPUT = "throughput.json"


class RunClock:
    """Rank 0's stopwatch: the steps apart from validation and checkpoints, each log record with its speed."""

    def __init__(self, run: Run, group: Group, log: Log | None, first: int, setup: float) -> None:
        self._run, self._group, self._log = run, group, log
        self._first = self._logged = first
        self.seconds = {"setup": setup, "steps": 0.0}
        self._mark = time.perf_counter()

    def log(self, step: int, record: dict[str, Any]) -> None:
        """Write a record of the steps since the last one; images/s are those of all ranks together."""
        seconds = time.perf_counter() - self._mark
        self.seconds["steps"] += seconds
        rate = (step - self._logged) * self._run.train.batch_size / seconds
        self._logged = step
        if self._log is not None:
            self._log.append({"step": step, **record, "images_per_second": round(rate, 2)})
        self._mark = time.perf_counter()

    @contextmanager
    def apart(self, name: str) -> Iterator[None]:
        """Count the seconds of the block under `name` and not as steps."""
        begin = time.perf_counter()
        yield
        end = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + end - begin
        self._mark += end - begin

    def finish(self) -> None:
        """Write throughput.json: images/s over all steps taken since the run was last resumed, and seconds."""
        images = (self._logged - self._first) * self._run.train.batch_size
        if self._group.leads and images:
            figures = {"images_per_second": images / self.seconds["steps"], "seconds": self.seconds}
            write_json(self._run.folder / THROUGHPUT, figures)
