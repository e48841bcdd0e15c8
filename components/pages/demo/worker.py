"""Worker: the one thread that decodes and translates, and a limit on the requests that wait for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.exceptions import HTTPException

from components.faults import Fault

_Made = TypeVar("_Made")


class Worker:
    """Does one thing at a time, so that two pages do not compute against each other on the same cores.

    A Fault means that the request was at fault.
    """

    def __init__(self, most_waiting: int = 8) -> None:
        self._most, self._waiting = most_waiting, 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")

    async def do(self, work: Callable[[], _Made]) -> _Made:
        """Run `work` in the thread.

        Raises:
            HTTPException: 503 if too many wait already, 422 with the line of a Fault.
        """
        if self._waiting >= self._most:
            raise HTTPException(503, "busy with other drawings; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except Fault as fault:
            raise HTTPException(422, str(fault)) from fault
        finally:
            self._waiting -= 1
