"""A command of the graph followed while it runs, and readers beside it."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from components.faults import Fault

PATIENCE_S = 600.0  # of every wait here: a machine may be busy
# What DVC says to the one that comes second: which process it waits for, or where to read on.
REFUSED = re.compile(r"is busy, it is being blocked by:\s+\(PID \d+\)|Unable to acquire lock")


class Followed:
    """A process that was started as a group of its own; its output is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self._lines = process, list[str]()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def said(self) -> str:
        """All that it has said so far."""
        return "".join(self._lines)

    @property
    def stages(self) -> list[str]:
        """The stages of the graph that it has begun."""
        return re.findall(r"Running stage '(\w+)'", self.said)

    def until(self, reached: Callable[[], bool]) -> bool:
        """Wait for something; whether it came before the process ended."""
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            if self.process.poll() is not None:
                return reached()
            assert time.monotonic() < deadline, f"waited in vain: {self.said}"
            time.sleep(0.01)
        return True

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.end()

    def end(self) -> int:
        """Wait for its end; gives the status."""
        status = self.process.wait(PATIENCE_S)
        self._thread.join(PATIENCE_S)
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._lines.append(line)


class Reader:
    """Reads again and again beside what is done in a block; every reading is whole, refused, or of nothing there."""

    def __init__(self, read: Callable[[], object]) -> None:
        self._read, self._stop = read, threading.Event()
        self.found: list[object] = []
        self.torn: list[str] = []
        self.absent = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.found.append(self._read())
            except (FileNotFoundError, Fault):
                self.absent += 1
            except Exception as error:  # whatever else it is, it is not whole
                self.torn.append(f"{type(error).__name__}: {error}")
