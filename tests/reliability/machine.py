"""Stages and commands in children of a server that has imported them, so that a situation costs a second or two."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from components.stage import run_stage
from pipelines import cli
from tests.reliability.ranks import forkserver
from tests.test_graph import STAGES

SECONDS = 240.0  # for what takes a few, on a machine with other things to do


class Ended(NamedTuple):
    """How a stage or command ended: its status (None: it had to be killed), and all that it said."""

    status: int | None
    said: str

    def refused(self, *words: str) -> bool:
        """Whether it ended with one line that says all these words, and no traceback."""
        last = self.said.strip().splitlines()[-1] if self.said.strip() else ""
        return self.status == 1 and "Traceback" not in self.said and all(word in last for word in words)


def ended(
    folder: Path, what: str, *arguments: str, obeying: bool = False, environment: dict[str, str | None] | None = None
) -> Ended:
    """Run a stage, or a command of pix2pipe, in a folder.

    Args:
        obeying: without root's right to read and write what is closed to it.
        environment: variables to set, None to unset.
    """
    with tempfile.NamedTemporaryFile("r+", encoding="utf-8", errors="replace") as log:
        child = forkserver().Process(target=_run, args=(folder, log.name, what, arguments, obeying, environment or {}))
        child.start()
        child.join(SECONDS)
        status = child.exitcode
        if status is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        return Ended(status, log.read())


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of its own at a folder."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Fill a disk but for so many kilobytes."""
    room = os.statvfs(disk)
    (disk / "fill").write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - 1024 * leave)))


def may_mount(folder: Path) -> bool:
    """Whether this process may mount a disk."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory(dir=folder) as place:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False)
        return done.returncode == 0 and subprocess.run(["umount", place], check=False).returncode == 0


def _run(
    folder: Path, log: str, what: str, arguments: Sequence[str], obeying: bool, environment: dict[str, str | None]
) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    tempfile.tempdir = None
    os.chdir(folder)
    main: Callable[[], None] = lambda: cli.main([what, *arguments])  # noqa: E731
    if what in STAGES:
        sys.argv = [f"pipelines.{what}", *arguments]
        stage = import_module(f"pipelines.{what}").main
        main = lambda: run_stage(what, stage)  # noqa: E731
    if obeying:
        _obey()
    status: object = 0
    try:
        main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = "failed"
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(str(status)))


def _obey() -> None:
    """Give up all capabilities (capset of Linux), so that root owns its files and obeys their modes."""
    library = ctypes.CDLL(None, use_errno=True)
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if os.geteuid() == 0 and library.capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "capset")
