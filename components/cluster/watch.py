"""Watch: finds out, in Ray Train's controller, which rank died or hangs, names it and ends it.

A collective that waits too long fails on the ranks that wait, not on the one that they wait for, so its error does not
name the culprit. So each rank is asked here how far it is, at every poll, beside the training and at no cost to a step.
Ray's own detector of NCCL hangs uses the same hooks; they are not public, so pyproject.toml pins Ray's minor version.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError
from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from components.cluster.journal import Journal
from components.cluster.rank import RankReport, hold, kill, release, sign
from components.faults import Fault

_PATIENCE_S = 5.0  # how long to wait for an answer of a suspected rank; a busy machine may be slow to answer
_TIMED_OUT = re.compile(r"tim(ed|e) ?out", re.IGNORECASE)
_CUT_OFF = re.compile(r"closed by peer|reset by peer|broken pipe|connection (closed|refused|reset)", re.IGNORECASE)


@dataclass
class _Watched:
    """A rank, and what was last heard of it (`heard` on this process's clock, in seconds).

    `before` is the last sign from a time when no rank can have given up yet. A rank that waits in a collective leaves
    it with an error after `timeout_s`, and until that error is reported it looks like a rank that hangs elsewhere. So
    the earlier signs decide who waited for whom.
    """

    worker: Any
    sign: RankReport | None = None
    heard: float = 0.0
    asked: Any = None
    before: RankReport | None = None

    def hear(self, sign: RankReport, timeout_s: float) -> None:
        """Take an answer."""
        self.sign, self.heard, self.asked = sign, time.monotonic(), None
        if sign.idle < timeout_s:
            self.before = sign

    @property
    def waited(self) -> bool:
        """Whether it waited for another rank before any rank can have given up."""
        sign = self.before if self.before and self.sign and self.before.step == self.sign.step else self.sign
        return sign is None or sign.waits

    def __str__(self) -> str:
        about = self.worker.metadata
        return f"rank {self.worker.distributed_context.world_rank} (node {about.node_ip}, pid {about.pid})"

    @property
    def idle(self) -> float:
        """Seconds since its last sign of life; 0 while its function gives none."""
        counted = self.sign is not None and self.sign.step is not None
        return self.sign.idle + time.monotonic() - self.heard if self.sign and counted else 0.0

    @property
    def step(self) -> int:
        return -1 if self.sign is None or self.sign.step is None else self.sign.step

    @property
    def at(self) -> str:
        """` at step 57`, where the function counts steps."""
        return f" at step {self.step}" if self.step >= 0 else ""

    def complaint(self, silent: bool) -> str:
        """What to say of a rank that hangs."""
        ago = f", {self.idle:.0f} s ago" if self.idle else ""
        if silent or self.sign is None:
            return f"{self} does not answer; it was last heard of{self.at}{ago}"
        return f"{self} hangs{self.at} in {self.sign.place}" + (f" for {self.idle:.0f} s" if self.idle else "")


class Watch(WorkerGroupCallback, ControllerCallback):
    """Ends a group of which a rank died, failed or hangs, with an error that names the rank.

    A Fault of a rank ends the run; anything else counts as a failure, of which `max_failures` are answered
    by starting all ranks anew.
    """

    def __init__(self, timeout_s: float, start_s: float, max_failures: int, journal: Journal) -> None:
        self._timeout_s, self._start_s, self._max_failures = timeout_s, start_s, max_failures
        self._journal = journal
        self._failures = 0
        self._ranks: list[_Watched] = []
        self._stopping = False

    def after_controller_start(self, _context: Any) -> None:
        """Set what Ray Train reads from the environment of its controller, a process of this run alone."""
        os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(self._start_s)
        os.environ["RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"] = str(self._timeout_s)
        os.environ["TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S"] = "5"

    def after_controller_state_update(self, _before: Any, state: Any) -> None:
        """Report that the nodes cannot hold all ranks at present."""
        if type(state).__name__ == "ReschedulingState":
            self._journal.write(say="the nodes have no room for all ranks; waiting for a node to come back")

    def after_worker_group_start(self, worker_group: Any) -> None:
        """Tell where the ranks are."""
        self._ranks = [_Watched(worker) for worker in worker_group.get_workers()]
        self._stopping = False
        self._journal.write(ranks=[_place(watched.worker) for watched in self._ranks])

    def after_worker_group_poll_status(self, worker_group_status: Any) -> None:
        """Look at every rank; called each second.

        Raises:
            ControllerError: with a rank's Fault in it, or the ranks were to end anyway; nothing is tried again.
            WorkerGroupError: a rank died, failed or hangs.
        """
        errors: dict[int, Exception] = worker_group_status.errors
        for error in errors.values():
            if isinstance(error, Fault):
                raise ControllerError(error)
        if self._journal.stop_asked and not (self._stopping or errors):
            self._stop()
        self._listen()
        running = [r for r, status in worker_group_status.worker_statuses.items() if status.running]
        if not errors and all(self._ranks[r].idle <= self._timeout_s for r in running):
            return
        why = self._why(errors, running)
        if self._journal.stop_asked:
            raise ControllerError(RuntimeError(why))
        self._failures += 1
        if self._failures <= self._max_failures:
            count = f"failure {self._failures}; train.max_failures is {self._max_failures}"
            self._journal.write(say=f"{why}; going on from the last checkpoint ({count})")
        raise WorkerGroupError(why, errors)

    def _stop(self) -> None:
        """Have all ranks end after the step that the furthest of them has begun; those not ready are asked again."""
        begun = self._everywhere(hold)
        self._stopping = bool(begun) and min(begun) >= 0
        self._everywhere(release, max(begun) if self._stopping else None)

    def _everywhere(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What a function gives on every rank; nothing where one does not answer."""
        asked = [watched.worker.execute_async(function, *arguments) for watched in self._ranks]
        try:
            return list(ray.get(asked, timeout=_PATIENCE_S))
        except (GetTimeoutError, RayActorError):
            return []

    def _listen(self, patience: float = 0.0) -> dict[int, Exception]:
        """Take what ranks have answered and ask them again; gives the ranks that cannot answer any more."""
        lost: dict[int, Exception] = {}
        for watched in self._ranks:
            watched.asked = watched.asked or watched.worker.execute_async(sign)
        ray.wait([w.asked for w in self._ranks], num_returns=len(self._ranks), timeout=patience)
        for rank, watched in enumerate(self._ranks):
            try:
                watched.hear(ray.get(watched.asked, timeout=0), self._timeout_s)
            except GetTimeoutError:
                pass
            except RayActorError as error:
                lost[rank] = error
        return lost

    def _why(self, errors: dict[int, Exception], running: list[int]) -> str:
        """Name the ranks at fault in one line, and end those that hang."""
        self._listen(_PATIENCE_S)  # what was asked before
        lost = self._listen(_PATIENCE_S)
        dead = {r: e.health_check_failure for r, e in errors.items() if isinstance(e, WorkerHealthCheckFailedError)}
        dead |= lost
        texts = {r: str(e) for r, e in errors.items() if r not in dead}
        silent = [r for r, w in enumerate(self._ranks) if w.asked is not None and r not in dead]
        stuck = [r for r, e in errors.items() if isinstance(e, WorkerHealthCheckTimeoutError)]
        own = [r for r, t in texts.items() if r not in stuck and not (_TIMED_OUT.search(t) or _CUT_OFF.search(t))]
        if dead:
            return "; ".join(f"{self._ranks[r]} died{self._ranks[r].at}{_cause(e)}" for r, e in dead.items())
        if own:
            first = own[0]
            text = f"{type(errors[first]).__name__}: {errors[first]}".splitlines()[0]
            return f"{self._ranks[first]} failed{self._ranks[first].at}: {text}"
        if errors and not stuck and not any(_TIMED_OUT.search(text) for text in texts.values()):
            gone = silent or [r for r in range(len(self._ranks)) if r not in errors] or list(errors)
            return "; ".join(f"{self._ranks[r]} was cut off{self._ranks[r].at}" for r in gone)
        return self._hung(silent, [r for r in running if r not in errors or r in stuck])

    def _hung(self, silent: list[int], running: list[int]) -> str:
        """Name and end the ranks that the others wait for: silent, behind, or in no collective."""
        furthest = max(watched.step for watched in self._ranks)
        behind = [r for r in running if self._ranks[r].step < furthest]
        astray = [r for r in running if not self._ranks[r].waited]
        hung = silent or behind or astray or running
        for rank in hung:
            _end(self._ranks[rank].worker)
        said = "; ".join(self._ranks[rank].complaint(rank in silent) for rank in hung)
        return f"{said}; train.timeout_s is {self._timeout_s:g}"


def _place(worker: Any) -> dict[str, Any]:
    about, context = worker.metadata, worker.distributed_context
    device = ", ".join(f"GPU {number}" for number in about.gpu_ids) or "CPU"
    return {
        "rank": context.world_rank,
        "node_rank": context.node_rank,
        "node_id": about.node_id,
        "address": about.node_ip,
        "host": about.hostname,
        "pid": about.pid,
        "device": device,
    }


def _cause(error: Exception) -> str:
    text = str(error)
    if "node has died" in text:
        return ", and its node with it"
    return " (out of memory)" if "OOM" in text or "out of memory" in text.lower() else ""


def _end(worker: Any) -> None:
    """Kill a rank's process on its own node: a process that was stopped obeys nothing less."""
    about = worker.metadata
    if about.node_id == ray.get_runtime_context().get_node_id():
        kill(about.pid)
        return
    there = NodeAffinitySchedulingStrategy(about.node_id, soft=False)
    done = ray.remote(kill).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(about.pid)
    ray.wait([done], timeout=4 * _PATIENCE_S)  # a node that is gone has taken its processes along
