"""One live line for a run, whoever trains it: read from its log, so ranks have nothing to print."""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tqdm import tqdm

from components.faults import Fault
from components.training import log
from components.training.alarms import ALARMS
from components.training.run import Run

Listener = Callable[[int, dict[str, float], str], None]


class Progress:
    """Follow a run's log in a thread and show step, images/s, losses and time left.

    On a terminal the line moves; elsewhere (a CI log) it is printed twice a minute. An alarm is a line of its own
    above it. A listener is handed each record's figures as they come: listener(step, figures, "train", "validation"
    or "alarms"), an alarm as 1 by its name.
    """

    def __init__(self, run: Run, title: str, listener: Listener | None = None) -> None:
        self._log, self._listener, self._title = log.Follower(run.folder), listener, title
        self._stop = threading.Event()
        last = next(reversed(run.checkpoints.all()), None)
        self._bar = tqdm(
            total=run.num_steps(),
            initial=last.step if last else 0,
            desc=f"{title} (resumed)" if last else title,
            unit="step",
            mininterval=0.5 if sys.stderr.isatty() else 30,
            dynamic_ncols=True,
        )
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._show()
        self._bar.close()

    def _follow(self) -> None:
        while not self._stop.wait(self._log.pause):
            self._show()

    def _show(self) -> None:
        try:
            new = self._log.new()
        except Fault:
            return  # a store that is away; the ranks say so, if it lasts
        if self._listener is not None:
            for record in new:
                part = "train" if "terms" in record else "validation"
                self._listener(record["step"], record["terms" if part == "train" else part], part)
        for record in new:
            for alarm in record.get(ALARMS, ()):
                tqdm.write(f"{self._title}: ALARM at step {alarm['step']}: {alarm['text']}", file=sys.stderr)
                if self._listener is not None:
                    self._listener(alarm["step"], {alarm["name"]: 1.0}, ALARMS)
        records = [record for record in new if "terms" in record]
        if not records or records[-1]["step"] <= self._bar.n:
            return
        record = records[-1]
        losses = {name: f"{value:.3g}" for name, value in record["terms"].items() if name != "learning_rate"}
        self._bar.set_postfix({"images/s": f"{record['images_per_second']:.0f}"} | losses, refresh=False)
        self._bar.update(record["step"] - self._bar.n)
