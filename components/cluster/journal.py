"""Journal: what Ray Train's controller tells the driver while the driver waits."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EVERY_S = 0.5


@dataclass(frozen=True)
class Journal:
    """A file of JSON lines on the driver's own disk; Ray puts the controller on the driver's node."""

    path: Path

    def write(self, **record: Any) -> None:
        """Add a record."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def ask_to_stop(self) -> None:
        """Tell the controller to end the ranks; safe in a signal handler."""
        self._wish.touch()

    @property
    def stop_asked(self) -> bool:
        """Whether they are."""
        return self._wish.exists()

    @property
    def _wish(self) -> Path:
        return self.path.with_name("stop")

    @contextmanager
    def followed(self, listener: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Pass each record to a listener, in a thread, as it comes, and all of them before the block
        ends."""
        self.path.touch()
        stop = threading.Event()

        def follow() -> None:
            with self.path.open(encoding="utf-8") as file:
                while True:
                    ending = stop.wait(_EVERY_S)
                    for line in file:
                        listener(json.loads(line))
                    if ending:
                        return

        thread = threading.Thread(target=follow, name="journal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
