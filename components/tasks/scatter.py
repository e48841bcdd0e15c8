"""Points as people look at them: where they lie, in a picture of the density that they are drawn from."""

import numpy as np
from numpy.typing import NDArray

from components.samples.domain import Mixture, Picture, points_of_bytes

_SMALL = 64  # pixels a side of a picture of one point
_MARGIN = 0.25  # of the extent of the centres, on each side
_PAPER, _INK, _DENSITY = np.array([255, 255, 255]), np.array([178, 24, 43]), np.array([67, 147, 195])


def marked(mixture: Mixture, held: Picture) -> Picture:
    """A small picture for each point, uint8 (N, 64, 64, 3): its place as a square of 5 pixels, in the density."""
    pictures = np.repeat(density_picture(mixture, _SMALL)[None], len(held), axis=0)
    places = _pixels(mixture, points_of_bytes(held), _SMALL).clip(0, _SMALL - 1)
    for picture, (row, column) in zip(pictures, places.tolist(), strict=True):
        picture[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = _INK
    return pictures


def scatter(mixture: Mixture, points: NDArray[np.float32], side: int = 480) -> Picture:
    """All points (N, 2) in one picture, uint8 (side, side, 3), darker where there are more; those outside are left
    out."""
    places = _pixels(mixture, points, side)
    inside = ((places >= 0) & (places < side)).all(axis=1)
    counts = np.zeros((side + 2, side + 2))  # a rim, so that a point at an edge does not show at the opposite one
    np.add.at(counts, tuple(places[inside].T + 1), 1)
    spread = sum(counts[row : row + side, column : column + side] for row in range(3) for column in range(3))
    return _mixed(1 - 0.6 ** np.asarray(spread), _INK)


def density_picture(mixture: Mixture, side: int = 480) -> Picture:
    """The density itself, uint8 (side, side, 3); a mode narrower than 2.5 pixels is drawn as wide as that."""
    low, step = _frame(mixture, side)
    axis = low[:, None] + step * (np.arange(side) + 0.5)  # (2, side)
    std = max(mixture.std, 2.5 * step)
    centres = np.array(mixture.centres)
    bumps = np.exp(-((axis[:, None, :] - centres.T[:, :, None]) ** 2) / (2 * std**2))  # (2, modes, side)
    heights = np.einsum("mx,my->yx", bumps[0], bumps[1])[::-1]
    return _mixed(heights.clip(0, 1), _DENSITY)


def side_by_side(left: Picture, right: Picture, gap: int = 12) -> Picture:
    """Two pictures of one height next to each other on white."""
    return np.concatenate([left, np.full((len(left), gap, 3), 255, np.uint8), right], axis=1)


def _frame(mixture: Mixture, side: int) -> tuple[NDArray[np.float64], float]:
    """The lower left corner (x, y) of the square that is shown, and the width of a pixel."""
    centres = np.array(mixture.centres)
    middle, extent = (centres.max(0) + centres.min(0)) / 2, float(np.ptp(centres, axis=0).max())
    width = max(extent * (1 + 2 * _MARGIN), 12 * mixture.std)
    return middle - width / 2, width / side


def _pixels(mixture: Mixture, points: NDArray[np.float32], side: int) -> NDArray[np.int64]:
    """(row, column) of each point, (N, 2); outside of 0 to side - 1 where it lies outside of the picture."""
    low, step = _frame(mixture, side)
    across = np.floor((points - low) / step).clip(-(2**31), 2**31).astype(np.int64)
    return np.stack([side - 1 - across[:, 1], across[:, 0]], axis=1)


def _mixed(share: NDArray[np.float64], colour: NDArray[np.int64]) -> Picture:
    mixed = _PAPER + share[:, :, None] * (colour - _PAPER)
    picture: Picture = mixed.round().astype(np.uint8)
    return picture
