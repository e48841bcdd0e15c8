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


def latents(seeds: Tensor, size: int, device: torch.device, kind: str = "normal", draw: int = 0) -> Tensor:
    """Latents (N, size), each decided by its seed and `draw` alone.

    Args:
        kind: normal, or uniform from -1 to 1.
        draw: another number gives latents of their own to another phase of the same step.
    """
    if kind == "uniform":
        return 2 * uniforms(seeds + draw, (size,), device) - 1
    (drawn,) = noise_maps(seeds + draw, [(1, size)], device)
    return drawn.flatten(1)


def uniforms(seeds: Tensor, shape: tuple[int, ...] | torch.Size, device: torch.device) -> Tensor:
    """Numbers from 0 to 1, (N, *shape); sample i's are decided by seeds[i] alone. Drawn on the CPU."""
    drawn = torch.empty(len(seeds), *shape)
    generator = torch.Generator()
    for row, seed in zip(drawn, seeds.tolist(), strict=True):
        row.uniform_(generator=generator.manual_seed(seed))
    return drawn.to(device, non_blocking=True)
