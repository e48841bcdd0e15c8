"""From stacked uint8 pictures to the tensors that a phase sees."""

import numpy as np
import torch

from components.systems.system import Batch, Shape
from components.tasks.encoding import encode
from components.tasks.paired import Sample


def to_batch(pictures: Sample, seeds: np.ndarray, task: tuple[str, str], shape: Shape, device: torch.device) -> Batch:
    """`source` and `target`, (N, C, H, W) float32 on the device, and `seeds`, (N,) int64 on the CPU."""
    return {
        "source": encode(shape.source, pictures[task[0]], device),
        "target": encode(shape.target, pictures[task[1]], device),
        "seeds": torch.from_numpy(seeds),
    }
