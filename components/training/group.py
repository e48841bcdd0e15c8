"""Group: the ranks that train together, and which of them this process is."""

import threading
import time
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from components.training.stop import Stop


@dataclass
class Heartbeat:
    """How far this process has come, kept where a thread beside the training can read it.

    Attributes:
        step: the last step that was begun; None before the first sign of life.
        at: when that sign was given, on this process's monotonic clock, in seconds.
        thread: the thread that trains.
    """

    step: int | None = None
    at: float = field(default_factory=time.monotonic)
    thread: int = field(default_factory=threading.get_ident)


@dataclass(frozen=True)
class Group:
    """Rank `rank` of `world`, computing on `device`; by default a single process on the CPU."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    stop: Stop = field(default_factory=Stop)

    @property
    def leads(self) -> bool:
        """Whether this rank writes files."""
        return self.rank == 0

    def alive(self, step: int | None = None) -> None:
        """Give a sign of life, at the begin of a step or within it.

        From the first sign on, a rank that gives none for `timeout_s` counts as hung
        (components/cluster/watch.py). Costs two assignments, and at the begin of a step a lock.
        """
        if step is not None:
            self.stop.begin(step)
        self.heartbeat.at = time.monotonic()
        self.heartbeat.step = step if step is not None else self.heartbeat.step or 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all ranks, on every rank."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over all ranks, on every rank."""
        if self.world > 1:
            values = self.total(values)
            values /= self.world
        return values

    @torch.no_grad()
    def average(self, buffers: list[Tensor]) -> None:
        """Make tensors that ranks keep by themselves (BatchNorm's running moments) their mean over the ranks."""
        if self.world == 1 or not buffers:
            return
        flat = self.mean(torch.cat([b.reshape(-1) for b in buffers]))
        for buffer, part in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(part.view_as(buffer))
