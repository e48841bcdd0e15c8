"""Holes to be painted in: boxes, and the strokes of a brush."""

import math

import numpy as np
from numpy.typing import NDArray

Hole = NDArray[np.bool_]


def box_hole(size: tuple[int, int], share: tuple[float, float], rng: np.random.Generator) -> Hole:
    """A box of the picture's own proportions, anywhere in it (Pathak et al. 2016, arXiv:1604.07379).

    Args:
        size: (H, W) of the picture.
        share: least and most of the picture it covers, up to the rounding of its sides to pixels.
        rng: decides how large it is, and where.
    """
    side = math.sqrt(rng.uniform(*share))
    tall, wide = (max(1, round(length * side)) for length in size)
    top, left = rng.integers(size[0] - tall + 1), rng.integers(size[1] - wide + 1)
    hole = np.zeros(size, np.bool_)
    hole[top : top + tall, left : left + wide] = True
    return hole


def free_form_hole(size: tuple[int, int], share: tuple[float, float], rng: np.random.Generator) -> Hole:
    """Strokes of a round brush that turn to and fro, as a person rubs out (Yu et al. 2019, arXiv:1806.03589).

    Args:
        size: (H, W) of the picture.
        share: least and most of the picture they cover; what was drawn between the two is met to the pixel.
        rng: decides all of it.
    """
    hole = np.zeros(size, np.bool_)
    wanted = math.ceil(rng.uniform(*share) * hole.size)
    while np.count_nonzero(hole) < wanted:
        _stroke(hole, wanted, rng)
    return hole


def _stroke(hole: Hole, wanted: int, rng: np.random.Generator) -> None:
    """One stroke of several legs, as much of it as the hole still wants; it ends where it meets the rim."""
    side, rim = min(hole.shape), np.array(hole.shape) - 1
    radius = max(1.0, side * rng.uniform(1 / 40, 1 / 16))
    start, heading = rng.uniform(0, rim), rng.uniform(0, 2 * math.pi)
    for leg in range(rng.integers(4, 13)):
        angle = heading + rng.uniform(math.pi / 6, math.pi / 3) * (-1) ** leg
        length = side * rng.uniform(1 / 8, 1 / 3)
        end = start + length * np.array([math.sin(angle), math.cos(angle)])
        _rub(hole, start, end, radius, wanted)
        if (end < 0).any() or (end > rim).any():
            return
        start = end


def _rub(hole: Hole, start: NDArray[np.float64], end: NDArray[np.float64], radius: float, wanted: int) -> None:
    """Take the pixels within `radius` of the way from start to end, in its order, until there are `wanted`."""
    way = end - start
    low = (np.minimum(start, end) - radius).astype(np.int64).clip(0)
    high = (np.maximum(start, end) + radius + 2).astype(np.int64).clip(0)
    window = hole[low[0] : high[0], low[1] : high[1]]  # a view: what is set here is set in the hole
    offset = np.moveaxis(np.indices(window.shape), 0, 2) + low - start
    along = (offset @ way / max(float(way @ way), 1e-12)).clip(0, 1)
    near = np.linalg.norm(offset - along[:, :, None] * way, axis=2) <= radius
    new = np.flatnonzero(near & ~window)
    new = new[np.argsort(along.flat[new], kind="stable")]
    window.flat[new[: wanted - np.count_nonzero(hole)]] = True
