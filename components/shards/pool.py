"""A map over processes that keeps the order and never has more than a few results in memory."""

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from components.faults import Fault

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

_shared: Any = None


def ordered_map(
    function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item], num_workers: int
) -> Iterator[Result]:
    """function(shared, item) for each item, in order, over processes.

    Args:
        function: defined at module level, so that another process can find it.
        shared: given to each process once (under fork it is not even copied).
        items: small and picklable.
        num_workers: processes; 0 is one for each core this process may use, 1 is this process itself.

    Raises:
        Fault: a process was killed from outside.
    """
    workers = num_workers or len(os.sched_getaffinity(0))
    if workers == 1:
        for item in items:
            yield function(shared, item)
        return
    waiting: deque[Future[Result]] = deque()
    with _pool(workers, shared) as pool:
        try:
            for item in items:
                waiting.append(_submit(pool, function, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise Fault("a worker process was killed (out of memory?); run again with fewer num_workers") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int, shared: object) -> ProcessPoolExecutor:
    # fork starts in milliseconds and shares the rasters; spawn would import the whole program in each
    # process. The children only read, decode and encode. Elsewhere than on Linux, fork is not safe.
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_initialise, initargs=(shared,))


def _submit(pool: ProcessPoolExecutor, function: Callable[[Any, Item], Result], item: Item) -> Future[Result]:
    with warnings.catch_warnings():
        # Python 3.12 warns of any fork beside threads; the first submit is where the pool forks.
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)
        return pool.submit(_call, function, item)


def _initialise(shared: object) -> None:
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer, once
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # and so is this, which the pool itself ends a process with
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with its parent: a parent that is killed cannot end its pool."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[[Any, Item], Result], item: Item) -> Result:
    return function(_shared, item)
