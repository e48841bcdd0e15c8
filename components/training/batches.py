"""A rank's batches: which samples, and from the loader's uint8 pictures to the tensors that a phase sees."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.samples.task import Task
from components.shards.loader import Sample, Stream, position_seeds
from components.shards.manifest import Manifest
from components.shards.order import windows_at_once
from components.shards.reader import Split, open_side
from components.systems.system import Batch, Shape
from components.tasks.encoding import as_input, require_classes
from components.training.group import Group
from components.training.jitter import AugmentConfig, jitter
from components.training.run import Run

_TARGET = 1  # the position whose seed is the seed of the target's own stream
SEEDS, INDEX = "seeds", "index"

# What the loader hands on of one step: uint8 pictures (N, ...) by their role in the task, `seeds` (N,) int64, and,
# where the target is drawn apart from the source, its own as `target_seeds`.
Inputs = dict[str, np.ndarray]


class Batches(Protocol):
    """A rank's training batches."""

    def batches(self, first: int, last: int) -> Iterator[Inputs]:
        """Those of steps first to last - 1."""

    def names(self, step: int) -> list[str]:
        """The keys of the samples of a step."""

    def places(self, step: int) -> Inputs:
        """Where in their splits the samples of a step are: `index` (N,) int64, and their seeds; where the target is
        drawn apart from the source, its own as `target_index` and `target_seeds`."""

    @property
    def streams(self) -> Mapping[str, tuple[Stream, str]]:
        """Of each role the stream that it is read from, and its domain there."""


@dataclass(frozen=True)
class Together:
    """All that a sample holds, drawn at once.

    Attributes:
        roles: what the task calls each domain.
    """

    stream: Stream
    roles: Mapping[str, str]

    def batches(self, first: int, last: int) -> Iterator[Inputs]:
        """Pictures by role, and their seeds."""
        for pictures, seeds in self.stream.batches(first, last):
            yield _by_role(pictures, self.roles) | {SEEDS: seeds}

    def names(self, step: int) -> list[str]:
        """The keys of the samples of a step."""
        return self.stream.names(step)

    def places(self, step: int) -> Inputs:
        """The samples of a step, and their seeds."""
        return _places(self.stream, step)

    @property
    def streams(self) -> Mapping[str, tuple[Stream, str]]:
        """One stream for all."""
        return {role: (self.stream, domain) for role, domain in self.roles.items()}


@dataclass(frozen=True)
class Sides:
    """Source and target drawn independently: each side has its own order, its own epochs and its own jitter.

    Each is a function of the step alone, so a resumed run neither repeats nor skips a sample of either.
    """

    source: Stream
    target: Stream
    roles: Mapping[str, str]

    def batches(self, first: int, last: int) -> Iterator[Inputs]:
        """As many pictures of each side; the seeds are the source's."""
        sides = (side.batches(first, last) for side in (self.source, self.target))
        for (source, seeds), (target, target_seeds) in zip(*sides, strict=True):
            yield _by_role(source | target, self.roles) | {SEEDS: seeds, f"target_{SEEDS}": target_seeds}

    def names(self, step: int) -> list[str]:
        """The keys of the samples of a step, the source's first."""
        return self.source.names(step) + self.target.names(step)

    def places(self, step: int) -> Inputs:
        """The samples of each side, and their seeds."""
        target = {f"target_{name}": value for name, value in _places(self.target, step).items()}
        return _places(self.source, step) | target

    @property
    def streams(self) -> Mapping[str, tuple[Stream, str]]:
        """One for each side."""
        return {role: (stream, self.roles[role]) for role, stream in (("source", self.source), ("target", self.target))}


def training_stream(run: Run, group: Group) -> Batches:
    """This rank's part of every batch of the run: samples as they lie, or two sides drawn independently."""
    task, open_shards, roles = run.task, _open_shards(run, group), _roles(run.task)
    pinned = run.train.pin_memory and group.device.type != "cpu"
    if task.source is None or run.system.paired:
        split = Manifest.read(run.shards).side("train", task.target)
        samples = Split(run.shards, split, open_shards, task.domains)
        return Together(_stream(run, group, samples, run.train.seed, pinned), roles)
    source, target = (open_side(run.shards, "train", name, open_shards=open_shards) for name in task.domains)
    # Where the data is aligned both sides are one split, and only another seed keeps the pairs apart.
    other = int(position_seeds(run.train.seed, range(_TARGET, _TARGET + 1))[0])
    return Sides(
        _stream(run, group, source, run.train.seed, pinned, 0.5),
        _stream(run, group, target, other, pinned, 0.5),
        roles,
    )


def _stream(run: Run, group: Group, split: Split, seed: int, pinned: bool, share: float = 1.0) -> Stream:
    """A stream over a split; `share` of the memory for decoded samples is its own."""
    train = run.train
    return Stream(
        split,
        train.batch_size,
        seed,
        group.rank,
        group.world,
        cache_bytes=int(share * train.cache_mb * 2**20),
        threads=train.loader_threads,
        prefetch=train.prefetch,
        shuffle_shards=train.shuffle_shards,
        lanes=train.lanes,
        stack=_stacked_for_gpu if pinned else np.stack,
    )


def _open_shards(run: Run, group: Group) -> int:
    windows = windows_at_once(run.train.batch_size, group.world, run.train.lanes)
    return max(64, windows * run.train.shuffle_shards)


def _stacked_for_gpu(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Stacked in page-locked memory, from which a copy to a GPU runs beside the computation.

    The allocator of such memory finds a block by its address, so it is not reused before the copy has ended.
    """
    shape = (len(pictures), *pictures[0].shape)
    return np.stack(pictures, out=torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy())


def _roles(task: Task) -> dict[str, str]:
    named = {"source": task.source, "target": task.target, "condition": task.condition}
    return {role: domain for role, domain in named.items() if domain is not None}


def _places(stream: Stream, step: int) -> Inputs:
    return {INDEX: np.asarray(stream.indices(step), np.int64), SEEDS: stream.seeds(step)}


def _by_role(pictures: Sample, roles: Mapping[str, str]) -> Inputs:
    return {role: pictures[domain] for role, domain in roles.items()}


def to_device(inputs: Inputs, device: torch.device) -> dict[str, Tensor]:
    """The arrays as tensors on a device; nothing waits for the copy."""
    return {name: torch.from_numpy(value).to(device, non_blocking=True) for name, value in inputs.items()}


def to_batch(inputs: Mapping[str, Tensor], shape: Shape, augment: AugmentConfig | None = None) -> Batch:
    """What a phase sees, made on the device that the inputs lie on: `target` and, as the task has them, `source` and
    `condition`, float32, and `seeds`, (N,) int64: (N, C, H, W) of pictures, one-hot (N, classes) of a category,
    (N, classes) of 0 and 1 of attributes.

    Args:
        augment: the jitter of training pictures; None: they are seen as they are.
    """
    batch = {SEEDS: inputs[SEEDS]}
    for role, domain in shape.roles.items():
        pictures = inputs[role]
        if augment is not None:
            pictures = jitter(pictures, domain, augment, own(inputs, role, SEEDS))
        batch[role] = as_input(domain, pictures)
    return batch


def own(inputs: Mapping[str, Tensor], role: str, name: str) -> Tensor:
    """The `index` or the `seeds` of a role: its own, or those of all."""
    return inputs[key] if (key := f"{role}_{name}") in inputs else inputs[name]


def inputs_of(pictures: Sample, seeds: NDArray[np.int64], task: Task, shape: Shape) -> Inputs:
    """Inputs of pictures by domain, (N, ...), that are not read from a training stream.

    Raises:
        Fault: a class index that its domain does not have.
    """
    inputs = _by_role(pictures, _roles(task))
    for role, domain in shape.roles.items():
        require_classes(domain, inputs[role])
    return inputs | {SEEDS: seeds}
