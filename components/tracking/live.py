"""LiveRun: a training's figures in MLflow while it goes on, never in its way."""

import queue
import sys
import threading
from pathlib import Path

from components.tracking.record import Point, alarm_tags
from components.tracking.run import find_run, log_points, make_run, points_of
from components.tracking.store import open_store

_SECONDS = 5.0  # between two calls


class LiveRun:
    """Logs what it is handed from a thread of its own, a batch every five seconds.

    The run is the one that the register stage completes: a point that a killed and resumed training hands
    in again is there already and is left out, and whatever did not arrive here, register adds from
    curves.csv. So a store that fails costs a warning and nothing else.

    Args:
        uri: of `tracking_uri`, taken where the stage runs: a worker's own folder is another.
        home: where the lock of the store lies, and artifacts where no server keeps them.
        experiment: its name.
        key: of the training run.
        name: what the run is called on MLflow's pages.
    """

    def __init__(self, uri: str, home: Path, experiment: str, key: str, name: str) -> None:
        self._uri, self._home, self._experiment, self._key, self._name = uri, home, experiment, key, name
        self._waiting: queue.SimpleQueue[Point] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-run", daemon=True)

    def start(self) -> "LiveRun":
        """Begin; the store is opened in the thread too."""
        self._thread.start()
        return self

    def log(self, step: int, figures: dict[str, float], part: str = "train") -> None:
        """Hand in the figures of a step: `train` (a row of curves.csv), `validation`, or `alarms`, each a tag too."""
        for name, value in figures.items():
            self._waiting.put(Point(f"{part}/{name}", step, value))

    def end(self, timeout_s: float = 15.0) -> None:
        """Log what is left, for at most so many seconds."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            store = open_store(self._uri, self._home, self._experiment)
            run = find_run(store, self._key) or make_run(store, self._key, self._name)
            known = set(points_of(store, run, run.data.metrics))
            stopping = False
            while not stopping:
                stopping = self._stop.wait(_SECONDS)
                points = [point for point in self._handed_in() if (point.name, point.step) not in known]
                known |= {(point.name, point.step) for point in points}
                log_points(store, run.info.run_id, points)
                for name, value in alarm_tags(points).items():
                    store.client.set_tag(run.info.run_id, name, value)
        except Exception as error:  # whatever it is, a log is not worth a training
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            print(f"tracking: no live figures ({reason}); register logs them later", file=sys.stderr)  # noqa: T201

    def _handed_in(self) -> list[Point]:
        points = []
        while True:
            try:
                points.append(self._waiting.get_nowait())
            except queue.Empty:
                return points
