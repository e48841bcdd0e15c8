"""What the tests let ranks do; the payload is a folder to leave traces in."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch

from components.training.group import Group

HANG_AT = 40


def sleeps(folder: Path, group: Group) -> None:
    """Rank 1 sleeps for ever at a step."""
    _steps(folder, group, lambda: time.sleep(600))


def stops(folder: Path, group: Group) -> None:
    """Rank 1 is stopped by a signal at a step."""
    _steps(folder, group, lambda: os.kill(os.getpid(), signal.SIGSTOP))


def dies(folder: Path, group: Group) -> None:
    """Rank 1 is killed at a step."""
    _steps(folder, group, lambda: os.kill(os.getpid(), signal.SIGKILL))


def waits_for_data(folder: Path, group: Group) -> None:
    """Rank 0 hangs before its first step."""
    group.alive()
    if group.leads:
        time.sleep(600)
    group.mean(torch.ones(3))


def all_sleep(folder: Path, group: Group) -> None:
    """Nobody waits for anybody, and nobody comes back."""
    group.alive(3)
    time.sleep(600)


def breaks(folder: Path, group: Group) -> None:
    """A bug on one rank, while the other waits in a collective."""
    if group.rank == 1:
        raise ZeroDivisionError("a bug")
    group.mean(torch.ones(3))


def goes_on(folder: Path, group: Group) -> None:
    """Steps without end, so that something else must end them; each rank writes its process."""
    (folder / f"rank_{group.rank}").write_text(str(os.getpid()))
    step = 0
    while True:
        group.alive(step)
        time.sleep(0.1)
        group.mean(torch.ones(3))
        step += 1


def _steps(folder: Path, group: Group, mishap: Callable[[], None]) -> None:
    """Steps of 0.1 s with a sign of life and a collective; at one of them rank 1 has a mishap, once a folder."""
    for step in range(HANG_AT + 3):
        group.alive(step)
        time.sleep(0.1)
        mark = folder / "mishap"
        if step == HANG_AT and group.rank == 1 and not mark.exists():
            mark.write_text(str(os.getpid()))
            mishap()
        group.mean(torch.ones(3))
    if group.leads:
        (folder / "done").touch()
