"""A rank's batches: which samples, and from stacked uint8 pictures to the tensors that a phase sees."""

import numpy as np
import torch

from components.shards.loader import Stream
from components.shards.order import windows_at_once
from components.shards.reader import Split
from components.systems.system import Batch, Shape
from components.tasks.encoding import encode
from components.tasks.paired import Sample, augment
from components.training.group import Group
from components.training.run import Run


def training_stream(run: Run, group: Group) -> Stream:
    """This rank's part of every batch of the run."""
    train = run.train
    windows = windows_at_once(train.batch_size, group.world, train.lanes)
    split = Split(run.shards, "train", open_shards=max(64, windows * train.shuffle_shards))
    return Stream(
        split,
        lambda sample, seed: augment(sample, split.domains, train.augment, seed),
        train.batch_size,
        train.seed,
        group.rank,
        group.world,
        cache_bytes=int(train.cache_mb * 2**20),
        threads=train.loader_threads,
        prefetch=train.prefetch,
        shuffle_shards=train.shuffle_shards,
        lanes=train.lanes,
    )


def to_batch(
    pictures: Sample,
    seeds: np.ndarray,
    task: tuple[str, str],
    shape: Shape,
    device: torch.device,
    pin_memory: bool = False,
) -> Batch:
    """`source` and `target`, (N, C, H, W) float32 on the device, and `seeds`, (N,) int64 on the CPU.

    With `pin_memory` the bytes cross to a GPU from page-locked memory, so the copy runs beside the
    computation; nothing changes where the device is the CPU.
    """
    source, target = (_staged(pictures[name], device, pin_memory) for name in task)
    return {
        "source": encode(shape.source, source, device),
        "target": encode(shape.target, target, device),
        "seeds": torch.from_numpy(seeds),
    }


def _staged(pictures: np.ndarray, device: torch.device, pin_memory: bool) -> np.ndarray:
    """The pictures where a copy to the device best starts: page-locked memory for a GPU, else as they are."""
    if not pin_memory or device.type == "cpu":
        return pictures
    # The allocator of page-locked memory finds the block by its address, so it is not reused during the copy.
    return torch.from_numpy(pictures).pin_memory().numpy()
