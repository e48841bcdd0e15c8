"""From stacked uint8 pictures to the tensors that a phase sees."""

import numpy as np
import torch

from components.systems.system import Batch, Shape
from components.tasks.encoding import encode
from components.tasks.paired import Sample


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
