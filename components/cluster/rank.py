"""What runs in a rank's process: the function, after a check of the files that all ranks must share."""

import os
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from components.faults import Fault
from components.storage.files import sha256_file
from components.storage.home import AnyPath
from components.training.group import Group

Function = Callable[[Any, Group], None]

_group: Group | None = None


@dataclass(frozen=True)
class Work:
    """What the driver gives to every rank.

    Attributes:
        cpus: threads for torch.
        shared: the sha256 of each file that every rank must see as the driver does.
    """

    function: Function
    payload: Any
    cpus: int
    shared: dict[AnyPath, str]


@dataclass(frozen=True)
class RankReport:
    """What a rank reports about itself when it is asked.

    Attributes:
        step: the last step begun; None when the function counts no steps.
        idle: seconds since its last sign of life.
        place: the line of code that its training thread is at, as `loop.py:62 (fit)`.
        waits: it is inside a collective, so it waits for another rank.
    """

    step: int | None
    idle: float
    place: str
    waits: bool


def run_rank(config: dict[str, Any]) -> dict[str, Any]:
    """Call the task's function as one rank of the group; gives its `seconds`, and the `steps` it has come to.

    Raises:
        Fault: the function's own, or this node sees other files than the driver.
    """
    import ray.train
    from ray.train.torch import get_device

    global _group
    task: Work = config["task"]
    context = ray.train.get_context()
    check_shared(task.shared, f"rank {context.get_world_rank()} (node {ray.util.get_node_ip_address()})")
    torch.set_num_threads(task.cpus)
    _group = group = Group(context.get_world_rank(), context.get_world_size(), get_device())
    began = time.perf_counter()
    task.function(task.payload, group)
    return {"seconds": time.perf_counter() - began, "steps": _group.stop.begun}


def check_shared(shared: dict[AnyPath, str], who: str) -> None:
    """Refuse to run if a file of the driver is missing or different here, since this node then has its own disk."""
    for path, digest in shared.items():
        try:
            seen = sha256_file(path)
        except FileNotFoundError:
            seen = ""
        if seen != digest:
            what = "another file than the driver at" if seen else "nothing at"
            raise Fault(
                f"{who} sees {what} {path}, so its folder is not shared; "
                "set PIX2PIPE_ROOT to a folder that all nodes share or to s3://bucket/prefix"
            )


def sign() -> RankReport:
    """How far this process has come and where it is now; asked of it by name, from outside its training thread."""
    if _group is None:
        return RankReport(None, 0.0, "before the first line of the function", False)
    pulse = _group.heartbeat
    frame = sys._current_frames().get(pulse.thread)
    stack = traceback.extract_stack(frame) if frame else []
    waits = any("torch/distributed/" in line.filename for line in stack[-4:]) or (
        bool(stack) and stack[-1].name == "_engine_run_backward"
    )
    libraries = ("site-packages", sysconfig.get_path("stdlib"))
    own = [line for line in stack if not any(part in line.filename for part in libraries)] or stack
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno} ({own[-1].name})" if own else "its end"
    return RankReport(pulse.step, time.monotonic() - pulse.at, place, waits)


def hold() -> int:
    """Keep this rank from beginning another step; returns the steps begun, -1 before the first line of the function."""
    return -1 if _group is None else _group.stop.hold()


def release(after: int | None) -> None:
    """Let this rank go on, to end when `after` steps are taken."""
    if _group is not None:
        _group.stop.release(after)


def kill(pid: int) -> None:
    """End a process of this node that no longer answers, even a stopped one."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
