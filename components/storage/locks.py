"""Locks: one process at a time works in a place; the next one is told which process that is."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.faults import Fault
from components.storage.files import faults_of_the_disk
from components.storage.home import AnyPath

_PATIENCE_S = 5.0  # time for a killed process and its children to end
_PAUSE_S = 0.05
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # a file system without locks


@contextmanager
def exclusive(lock: AnyPath, where: str, patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Let one process at a time into the block; a second one raises a Fault that names the first.

    The kernel releases the lock when its process ends, so a killed process leaves none behind. The file stays and
    contains the process's number, on which nothing else depends. An object store has no locks: there, processes are not
    kept apart.

    Args:
        lock: a file, made if it is missing.
        where: what the block works on, for the message.
        patience_s: how long to wait for a process that is just ending.

    Raises:
        Fault: another process is inside.
    """
    if not isinstance(lock, Path):
        yield
        return
    with faults_of_the_disk(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + patience_s
        while not _taken(file):
            if time.monotonic() >= deadline:
                holder = os.pread(file, 20, 0).decode("ascii", "replace").strip()
                who = f"process {holder}" if holder else "another process"
                raise Fault(f"{where}: {who} is at work there; wait until it ends, or end it, and run again")
            time.sleep(_PAUSE_S)
        with faults_of_the_disk(lock):
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def _taken(file: int) -> bool:
    """Whether this process has the lock now; always true on a file system without locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
