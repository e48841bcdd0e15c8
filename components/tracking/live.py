"""LiveRun: sends a training's metrics to MLflow while it runs, without delaying it."""

import queue
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from components.faults import Fault
from components.tracking.point_times import PointTimes
from components.tracking.record import Point, alarm_tags
from components.tracking.run import BATCH, find_run, log_points, make_run, points_of
from components.tracking.store import Store, faults_of_the_store, open_store

_SECONDS = 5.0  # between two calls


class LiveRun:
    """Delivers the metrics that it is given from its own thread, a batch every five seconds.

    If the store is slow, stopped, down or read-only, there is a warning; undelivered points are kept and delivered when
    it accepts points again, and register delivers what is left at the end from curves.csv. The truth is the run's log
    on disk, which a resumed training gives to it again; points that are already in the run are left out.

    Args:
        uri: from `tracking_uri`, called by the stage itself, since a worker has another working folder.
        home: the place of the store's lock and of the points' times, and of artifacts if no server keeps them.
        experiment: its name.
        key: of the training run.
        name: what the run is called on MLflow's pages.
        pause_s: between two deliveries.
    """

    def __init__(self, uri: str, home: Path, experiment: str, key: str, name: str, pause_s: float = _SECONDS) -> None:
        self._uri, self._home, self._experiment, self._key, self._name = uri, home, experiment, key, name
        self._pause_s = pause_s
        self._handed_in: queue.SimpleQueue[Point] = queue.SimpleQueue()
        self._kept: list[Point] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-run", daemon=True)

    def start(self) -> Self:
        """Begin; the store is opened in the thread too."""
        self._thread.start()
        return self

    def log(self, step: int, figures: dict[str, float], part: str = "train") -> None:
        """Give it the metrics of a step: `train` (a row of curves.csv), `validation`, or `alarms`, each a tag too."""
        for name, value in figures.items():
            self._handed_in.put(Point(f"{part}/{name}", step, value))

    def end(self, timeout_s: float = 15.0) -> int:
        """Deliver what is left, for at most so many seconds; returns the number of points that register must add."""
        self._stop.set()
        self._thread.join(timeout_s)
        left = len(self._kept) + self._handed_in.qsize()
        if left:
            _say(f"{left} metrics are not delivered yet; register will deliver them")
        return left

    def _run(self) -> None:
        target: _Target | None = None
        failing = False
        while True:
            last = self._stop.is_set()
            try:
                target = target or _Target.open(self._uri, self._home, self._experiment, self._key, self._name)
                self._deliver(target)
                if failing:
                    _say("live metrics again")
                failing = False
            except Fault as fault:
                if not failing:
                    _say(f"no live metrics for now ({fault}); they are kept and will be delivered later")
                failing = True
                target = None  # what of a call arrived is asked when the store answers again
            if last:
                return
            self._stop.wait(self._pause_s)

    def _deliver(self, target: "_Target") -> None:
        while not self._handed_in.empty():
            self._kept.append(self._handed_in.get_nowait())
        while self._kept:
            target.send(self._kept[:BATCH])
            del self._kept[:BATCH]


@dataclass
class _Target:
    """The run in an open store, and the points that are in it."""

    store: Store
    run_id: str
    stamps: PointTimes
    known: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def open(cls, uri: str, home: Path, experiment: str, key: str, name: str) -> Self:
        """Find the run, or make it.

        Raises:
            Fault: the store does not answer or refuses.
        """
        store = open_store(uri, home, experiment)
        with faults_of_the_store(uri):
            run = find_run(store, key) or make_run(store, key, name)
            return cls(store, run.info.run_id, PointTimes(home, key), set(points_of(store, run, run.data.metrics)))

    def send(self, points: list[Point]) -> None:
        """Log the points that are not there.

        Raises:
            Fault: the store does not answer or refuses; some of them may have arrived.
        """
        new = [point for point in points if (point.name, point.step) not in self.known]
        with faults_of_the_store(self.store.uri):
            log_points(self.store, self.run_id, new, self.stamps)
            for name, value in alarm_tags(new).items():
                self.store.client.set_tag(self.run_id, name, value)
        self.known |= {(point.name, point.step) for point in new}


def _say(line: str) -> None:
    print(f"tracking: {line}", file=sys.stderr)  # noqa: T201
