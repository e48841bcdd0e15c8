"""Noise that belongs to a sample, not to its place in a batch: a function of (seed, stream, place)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_sizes: ContextVar[list[tuple[str, int]] | None] = ContextVar("sizes", default=None)
_STEP = 0x9E3779B97F4A7C15 - 2**64  # SplitMix64's increment and multipliers, as signed numbers
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


@contextmanager
def counted_draws() -> Iterator[list[tuple[str, int]]]:
    """List the kind (`normal` or `uniform`) and the values a sample of each draw inside the block."""
    sizes: list[tuple[str, int]] = []
    token = _sizes.set(sizes)
    try:
        yield sizes
    finally:
        _sizes.reset(token)


def draw_rows(seeds: Tensor, count: int, kind: str, device: torch.device, stream: int = 0) -> Tensor:
    """(N, count) float32 on a device, `normal` (mean 0, deviation 1) or `uniform` (from 0, below 1).

    Value j of row i is a function of (seeds[i], stream, j) alone: SplitMix64 (Steele et al. 2014,
    doi:10.1145/2660193.2660195) started at the seed and read at place j, and for normal values the transform of Box and
    Muller (1958). So a batch is drawn at once on the device that wants it: uniform values are the same on every
    device, normal ones to 1e-6.

    Seeds that are floating point are the values themselves, drawn elsewhere, and are given back: so a network that is
    exported takes its noise as an input.
    """
    if (sizes := _sizes.get()) is not None:
        sizes.append((kind, count))
    if seeds.is_floating_point():
        return seeds
    seeds = seeds.to(device, non_blocking=True)
    if kind == "uniform":
        return _right(_bits(seeds, count, stream), 40).float() * 2.0**-24
    pairs = _bits(seeds, (count + 1) // 2, stream)
    # In double precision, whose last bits are where devices differ.
    radius = (_right(pairs, 32).double() + 1).mul_(2.0**-32).log_().mul_(-2).sqrt_()
    angle = (pairs & 0xFFFFFFFF).double().mul_(2 * math.pi * 2.0**-32)
    values = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return values[:, :count].float()


def noise_maps(seeds: Tensor, sides: list[tuple[int, int]], device: torch.device, stream: int = 0) -> list[Tensor]:
    """Unit normal maps, one (N, 1, H, W) for each of `sides`; sample i's are decided by seeds[i] and `stream` alone."""
    sizes = [height * width for height, width in sides]
    parts = draw_rows(seeds, sum(sizes), "normal", device, stream).split(sizes, dim=1)
    return [part.view(-1, 1, *side) for part, side in zip(parts, sides, strict=True)]


def latents(seeds: Tensor, size: int, device: torch.device, kind: str = "normal", draw: int = 0) -> Tensor:
    """Latents (N, size), each decided by its seed and `draw` alone.

    Args:
        kind: normal, or uniform from -1 to 1.
        draw: another number gives latents of their own to another phase of the same step.
    """
    if kind == "uniform":
        return 2 * uniforms(seeds, (size,), device, draw) - 1
    return draw_rows(seeds, size, "normal", device, draw)


def uniforms(seeds: Tensor, shape: tuple[int, ...] | torch.Size, device: torch.device, stream: int = 0) -> Tensor:
    """Numbers from 0 to 1, (N, *shape); sample i's are decided by seeds[i] and `stream` alone."""
    return draw_rows(seeds, torch.Size(shape).numel(), "uniform", device, stream).unflatten(1, shape)


def _bits(seeds: Tensor, count: int, stream: int) -> Tensor:
    """64 random bits for each place, (N, count) int64."""
    keys = _mixed(seeds + _signed(stream * _STEP))  # seeds that are neighbours begin far apart
    places = torch.arange(1, count + 1, device=seeds.device).mul_(_STEP)
    return _mixed(keys[:, None] + places)


def _mixed(bits: Tensor) -> Tensor:
    """SplitMix64's output function, in integers that wrap around; changes and gives its argument."""
    bits ^= _right(bits, 30)
    bits *= _FIRST
    bits ^= _right(bits, 27)
    bits *= _SECOND
    bits ^= _right(bits, 31)
    return bits


def _right(bits: Tensor, count: int) -> Tensor:
    """Bits shifted to the right, zeros coming in from the left."""
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _signed(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63
