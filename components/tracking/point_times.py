"""PointTimes: the times of a run's points, kept on disk, so that MLflow recognises a point that is sent again."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

from components.storage.files import faults_of_the_disk
from components.tracking.record import Point


class PointTimes:
    """When each row of metrics was first seen, in a file that is only appended to.

    MLflow keeps a point once for each name, step, value and time. A server that was stopped may carry out a call long
    after its sender has given up or died, so asking the server does not tell for sure which points it will have. So a
    point that is sent again gets the same time as before. The file is on this machine: on another one a row gets a new
    time.

    Args:
        home: of the project on this machine; the file is stamps/KEY.jsonl below it.
        key: of the training run.
    """

    def __init__(self, home: Path, key: str) -> None:
        self.path = home / "stamps" / f"{key}.jsonl"
        self._times: dict[tuple[str, int], int] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("]\n"):  # a kill may have cut the last one short
                    part, step, moment = json.loads(line)
                    self._times.setdefault((part, step), moment)

    def times(self, points: Iterable[Point]) -> list[int]:
        """The time of each point, in milliseconds since 1970; on disk before anybody can be told of it.

        Raises:
            Fault: the disk is full or cannot be written to.
        """
        now = time.time_ns() // 1_000_000
        rows = [(point.name.partition("/")[0], point.step) for point in points]
        new = [row for row in dict.fromkeys(rows) if row not in self._times]
        if new:
            with faults_of_the_disk(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    # Of its own line, whatever a kill has left of the one before.
                    file.write("\n" + "".join(json.dumps([part, step, now]) + "\n" for part, step in new))
            self._times |= dict.fromkeys(new, now)
        return [self._times[row] for row in rows]
