"""Noise that belongs to a sample, not to its place in a batch."""

import torch
from torch import Tensor


def noise_maps(seeds: Tensor, sides: list[tuple[int, int]], device: torch.device) -> list[Tensor]:
    """Unit normal maps, one (N, 1, H, W) for each of `sides`; sample i's are decided by seeds[i] alone.

    Drawn on the CPU, so that a picture is the same on every device.
    """
    sizes = [height * width for height, width in sides]
    drawn = torch.empty(len(seeds), sum(sizes))
    generator = torch.Generator()
    for row, seed in zip(drawn, seeds.tolist(), strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    parts = drawn.to(device, non_blocking=True).split(sizes, dim=1)
    return [part.view(-1, 1, *side) for part, side in zip(parts, sides, strict=True)]
