"""A rank's batches: which samples, and from stacked uint8 pictures to the tensors that a phase sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from components.shards.loader import Stream, position_seed
from components.shards.manifest import Manifest
from components.shards.order import windows_at_once
from components.shards.reader import Split, open_side
from components.systems.system import Batch, Shape
from components.task import Task
from components.tasks.encoding import encode
from components.tasks.paired import Sample, augment
from components.training.group import Group
from components.training.run import Run

_TARGET = 1  # the position whose seed is the seed of the target's own stream


class Batches(Protocol):
    """A rank's training batches."""

    def batches(self, first: int, last: int) -> Iterator[tuple[Sample, np.ndarray]]:
        """Pictures by domain, stacked, and the seeds of the samples, for steps first to last - 1."""

    def names(self, step: int) -> list[str]:
        """The keys of the samples of a step."""


@dataclass(frozen=True)
class Sides:
    """Source and target drawn independently: each side has its own order, its own epochs and its own jitter.

    Each is a function of the step alone, so a resumed run neither repeats nor skips a sample of either.
    """

    source: Stream
    target: Stream

    def batches(self, first: int, last: int) -> Iterator[tuple[Sample, np.ndarray]]:
        """As many pictures of each side; the seeds are the source's."""
        sides = (side.batches(first, last) for side in (self.source, self.target))
        for (source, seeds), (target, _) in zip(*sides, strict=True):
            yield source | target, seeds

    def names(self, step: int) -> list[str]:
        """The keys of the samples of a step, the source's first."""
        return self.source.names(step) + self.target.names(step)


def training_stream(run: Run, group: Group) -> Batches:
    """This rank's part of every batch of the run: samples as they lie, or two sides drawn independently."""
    task, open_shards = run.task, _open_shards(run, group)
    if task.source is None or run.system.paired:
        split = Manifest.read(run.shards).side("train", task.target)
        return _stream(run, group, Split(run.shards, split, open_shards, task.domains), run.train.seed)
    source, target = (open_side(run.shards, "train", name, open_shards=open_shards) for name in task.domains)
    # Where the data is aligned both sides are one split, and only another seed keeps the pairs apart.
    other = position_seed(run.train.seed, _TARGET)
    return Sides(_stream(run, group, source, run.train.seed, 0.5), _stream(run, group, target, other, 0.5))


def _stream(run: Run, group: Group, split: Split, seed: int, share: float = 1.0) -> Stream:
    """A stream over a split; `share` of the memory for decoded samples is its own."""
    train = run.train
    return Stream(
        split,
        lambda sample, seed: augment(sample, split.domains, train.augment, seed),
        train.batch_size,
        seed,
        group.rank,
        group.world,
        cache_bytes=int(share * train.cache_mb * 2**20),
        threads=train.loader_threads,
        prefetch=train.prefetch,
        shuffle_shards=train.shuffle_shards,
        lanes=train.lanes,
    )


def _open_shards(run: Run, group: Group) -> int:
    windows = windows_at_once(run.train.batch_size, group.world, run.train.lanes)
    return max(64, windows * run.train.shuffle_shards)


def to_batch(
    pictures: Sample,
    seeds: np.ndarray,
    task: Task,
    shape: Shape,
    device: torch.device,
    pin_memory: bool = False,
) -> Batch:
    """`target` and, as the task has them, `source` and `condition`, float32 on the device, and `seeds`, (N,) int64 on
    the CPU: (N, C, H, W) of pictures, one-hot (N, classes) of a category.

    With `pin_memory` the bytes cross to a GPU from page-locked memory, so the copy runs beside the
    computation; nothing changes where the device is the CPU.
    """
    roles = {
        "source": (task.source, shape.translated),
        "target": (task.target, shape.target),
        "condition": (task.condition, shape.asked),
    }
    batch = {
        role: encode(domain, _staged(pictures[name], device, pin_memory), device)
        for role, (name, domain) in roles.items()
        if name is not None and domain is not None
    }
    return batch | {"seeds": torch.from_numpy(seeds)}


def _staged(pictures: np.ndarray, device: torch.device, pin_memory: bool) -> np.ndarray:
    """The pictures where a copy to the device best starts: page-locked memory for a GPU, else as they are."""
    if not pin_memory or device.type == "cpu":
        return pictures
    # The allocator of page-locked memory finds the block by its address, so it is not reused during the copy.
    return torch.from_numpy(pictures).pin_memory().numpy()
