"""Scratch: temporary folders that are removed when their process has ended, however it ended.

They are all in one folder of this machine's user. Each is locked by the process that uses it, and the kernel releases
the lock when that process ends. So a process that makes a new folder can tell which ones were left behind, and removes
them.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from components.faults import Fault
from components.storage.files import faults_of_the_disk

_LOCK = ".lock"
_LONGEST = 26  # bytes of the path: Ray puts sockets below, whose whole paths may have 107
_UNLOCKED_S = 60.0  # after which a folder without a lock is taken for left behind: it is made a moment before its lock


def scratch_root() -> Path:
    """The folder of all; short, whatever TMPDIR is.

    Raises:
        Fault: it cannot be made, or belongs to somebody else.
    """
    name = f"pix2pipe-{os.getuid()}"
    try:
        root = Path(tempfile.gettempdir()) / name
    except FileNotFoundError as error:  # Python has tried TMPDIR, /tmp, /var/tmp and the working folder
        raise Fault("no temporary folder can be written to; free space in /tmp, or set TMPDIR to one") from error
    if len(os.fsencode(root)) > _LONGEST:
        root = Path("/tmp") / name
    with faults_of_the_disk(root):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.is_symlink() or root.stat().st_uid != os.getuid():
        raise Fault(f"{root}: belongs to somebody else; set TMPDIR to a folder of your own with a short path")
    return root


@contextmanager
def scratch() -> Iterator[Path]:
    """A new, empty folder; it is removed after the block or, if this process is killed, by the next process that makes
    one.

    Raises:
        Fault: it cannot be made: no space, or no right to.
    """
    root = scratch_root()
    sweep(root)
    with faults_of_the_disk(root):
        folder = Path(tempfile.mkdtemp(prefix="", dir=root))
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        inside = folder / "s"
        inside.mkdir()
        yield inside
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep(root: Path) -> int:
    """Remove the folders whose processes have ended; gives how many there were."""
    swept = 0
    for folder in root.iterdir():
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > _UNLOCKED_S:
                    shutil.rmtree(folder, ignore_errors=True)
                    swept += 1
            continue
        except OSError:  # not a folder of ours, or just going
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # in use
        else:
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
        finally:
            os.close(lock)
    return swept
