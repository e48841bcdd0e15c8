"""Noise that belongs to a sample, not to its place in a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_sizes: ContextVar[list[tuple[str, int]] | None] = ContextVar("sizes", default=None)


@contextmanager
def counted_draws() -> Iterator[list[tuple[str, int]]]:
    """List the kind (`normal` or `uniform`) and the values a sample of each draw inside the block."""
    sizes: list[tuple[str, int]] = []
    token = _sizes.set(sizes)
    try:
        yield sizes
    finally:
        _sizes.reset(token)


def draw_rows(seeds: Tensor, count: int, kind: str) -> Tensor:
    """(N, count) values on the CPU, `normal` (mean 0, deviation 1) or `uniform` (0 to 1), row i decided by seeds[i].

    Seeds that are floating point are the values themselves, drawn elsewhere, and are given back: so a network that is
    exported takes its noise as an input.
    """
    if (sizes := _sizes.get()) is not None:
        sizes.append((kind, count))
    if seeds.is_floating_point():
        return seeds
    drawn = torch.empty(len(seeds), count)
    generator = torch.Generator()
    for row, seed in zip(drawn, seeds.tolist(), strict=True):
        generator.manual_seed(seed)
        row.normal_(generator=generator) if kind == "normal" else row.uniform_(generator=generator)
    return drawn


def noise_maps(seeds: Tensor, sides: list[tuple[int, int]], device: torch.device) -> list[Tensor]:
    """Unit normal maps, one (N, 1, H, W) for each of `sides`; sample i's are decided by seeds[i] alone.

    Drawn on the CPU, so that a picture is the same on every device.
    """
    sizes = [height * width for height, width in sides]
    parts = draw_rows(seeds, sum(sizes), "normal").to(device, non_blocking=True).split(sizes, dim=1)
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
    drawn = draw_rows(seeds, torch.Size(shape).numel(), "uniform")
    return drawn.to(device, non_blocking=True).unflatten(1, shape)
