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
        shuffle_shards=train.shuffle_shards,
        lanes=train.lanes,
    )


def to_batch(pictures: Sample, seeds: np.ndarray, task: tuple[str, str], shape: Shape, device: torch.device) -> Batch:
    """`source` and `target`, (N, C, H, W) float32 on the device, and `seeds`, (N,) int64 on the CPU."""
    return {
        "source": encode(shape.source, pictures[task[0]], device),
        "target": encode(shape.target, pictures[task[1]], device),
        "seeds": torch.from_numpy(seeds),
    }
