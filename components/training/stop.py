"""Stopping a training from outside: after a step, with everything saved."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
_HELD_S = 20.0  # for which a rank waits to be told when to end; whoever asked may have died


class Stopped(BaseException):
    """A signal has ended this process's work; like KeyboardInterrupt, no handler of errors catches it.

    Attributes:
        step: after which a training was saved; None where nothing was saved for it.
    """

    def __init__(self, signum: int, step: int | None = None) -> None:
        self.signum, self.step = signum, step
        saved = f" after step {step}, which is saved" if step else ""
        super().__init__(f"stopped by {name_of(signum)}{saved}")

    @property
    def status(self) -> int:
        """What shells give a process that the signal ended: 130 or 143."""
        return 128 + self.signum


class Stop:
    """The wish that a training end before its last step, made from a signal's handler or from another thread.

    One process is asked to end after the step that it is in. Ranks must all end after the same one, and only what
    is outside of them can ask them all: it holds each at the begin of its next step, knows then for good which is
    the furthest, and lets them go with the step after which to end. A step pays for it with a lock that nobody else
    wants.

    Attributes:
        begun: steps of the run that were begun; 0 before the first that this process takes.
    """

    def __init__(self) -> None:
        self._after: int | None = None
        self.begun = 0
        self._lock, self._free = threading.Lock(), threading.Event()
        self._free.set()

    def __reduce__(self) -> tuple[type["Stop"], tuple[()]]:
        """What another process is handed (with its Group) is a wish of its own, not made."""
        return Stop, ()

    def ask(self) -> None:
        """End after the step that is being taken, or the next; takes no lock, so a signal's handler may call it."""
        self._after = 0

    def hold(self) -> int:
        """Let no further step begin; gives the number of steps begun."""
        with self._lock:
            self._free.clear()
            return self.begun

    def release(self, after: int | None) -> None:
        """Let steps begin again, and end when `after` steps are taken; None: do not end."""
        self._after = after
        self._free.set()

    def begin(self, step: int) -> None:
        """Step `step` (from 0) begins; waits while it is held."""
        while True:
            with self._lock:
                if self._free.is_set():
                    self.begun = step + 1
                    return
            if not self._free.wait(_HELD_S):
                self._free.set()

    def due(self, steps: int) -> bool:
        """Whether to end, so many steps being taken."""
        return self._after is not None and steps >= self._after


@contextmanager
def signals_answered(title: str, ask: Callable[[], object] | None) -> Iterator[list[int]]:
    """Answer SIGTERM and Ctrl-C inside the block: the first calls `ask`, the second ends the block at once.

    Args:
        title: who speaks of it on stderr.
        ask: quick, and safe at any point of the main thread; None: the first ends the block at once.

    Returns:
        A list that the first signal is put into.

    Raises:
        Stopped: in the main thread, to end the block.
    """
    asked: list[int] = []

    def answer(signum: int, _frame: object) -> None:
        if asked or ask is None:
            raise Stopped(signum)
        asked.append(signum)
        ask()
        # Not print: the signal may have come in the middle of one.
        text = f"\n{title}: {name_of(signum)}: saves after this step, and ends; once more ends it at once\n"
        os.write(2, text.encode())

    with _handlers(answer, *_NAMES):
        yield asked


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, with its files and processes in order.

    Raises:
        Stopped: in the main thread, to end the block.
    """

    def answer(signum: int, _frame: object) -> None:
        raise Stopped(signum)

    with _handlers(answer, signal.SIGTERM):
        yield


@contextmanager
def _handlers(answer: Callable[[int, object], None], *signums: signal.Signals) -> Iterator[None]:
    """Answer signals inside the block, in the main thread; what is ignored (nohup) stays so."""
    before = {signum: signal.getsignal(signum) for signum in signums}
    mine = [signum for signum, handler in before.items() if handler is not signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        mine = []
    for signum in mine:
        signal.signal(signum, answer)
    try:
        yield
    finally:
        for signum in mine:
            signal.signal(signum, before[signum])


def name_of(signum: int) -> str:
    """What people call a signal."""
    return _NAMES.get(signal.Signals(signum), signal.Signals(signum).name)
