"""A picture of any size through a translator of one size: in overlapping tiles, without seams."""

from collections.abc import Callable
from itertools import product

import numpy as np

from components.models.generator import Generator
from components.samples.domain import Domain, Picture

_OVERLAP = 0.5  # of a tile's side, at least
_AT_ONCE = 16


def translate_picture(translator: Generator, picture: Picture, done: Callable[[int], object] = int) -> Picture:
    """The translation of a picture: of its own height and width, or as many times as large as the translator enlarges.

    Tiles of the size of the translator's source overlap by half or more, and each pixel is the mean of all that show
    it, weighted by how far it is from their edges; of a label map it is the class of the tile in which it lies deepest.
    A picture that is smaller than a tile is mirrored at its edges first (a label map repeated).

    Args:
        picture: (H, W, 3) RGB or (H, W) class indices, uint8, as the translator's source says.
        done: called with the number of tiles each time some are translated.
    """
    height, width = picture.shape[:2]
    tall, wide = translator.source.height_width
    padded = _padded(picture, (max(tall, height), max(wide, width)), translator.source)
    places = list(product(_starts(padded.shape[0], tall), _starts(padded.shape[1], wide)))
    down, across = times(translator)
    weight = (
        np.minimum.outer(_ramp(down * tall), _ramp(across * wide)) ** 2
    )  # what a network makes of its edges should hardly count
    canvas = _Canvas((down * padded.shape[0], across * padded.shape[1]), translator.target)
    for first in range(0, len(places), _AT_ONCE):
        part = places[first : first + _AT_ONCE]
        tiles = np.stack([padded[top : top + tall, left : left + wide] for top, left in part])
        for (top, left), made in zip(part, translator.translate(tiles), strict=True):
            canvas.lay(made, weight, down * top, across * left)
        done(len(part))
    return canvas.picture()[: down * height, : across * width]


def times(translator: Generator) -> tuple[int, int]:
    """How many times as high and as wide as its source what it makes is."""
    (tall, wide), (high, broad) = translator.source.height_width, translator.target.height_width
    return high // tall, broad // wide


def count_tiles(translator: Generator, height: int, width: int) -> int:
    """How many tiles a picture takes."""
    tall, wide = translator.source.height_width
    return len(_starts(max(height, tall), tall)) * len(_starts(max(width, wide), wide))


class _Canvas:
    """What the tiles have made so far."""

    def __init__(self, size: tuple[int, int], domain: Domain) -> None:
        self._image = domain.kind == "image"
        self._made = np.zeros((*size, 3) if self._image else size, np.float32 if self._image else np.uint8)
        self._weight = np.zeros(size, np.float32)

    def lay(self, made: Picture, weight: np.ndarray, top: int, left: int) -> None:
        """Add a tile at its place."""
        place = np.s_[top : top + weight.shape[0], left : left + weight.shape[1]]
        if self._image:
            self._made[place] += made * weight[..., None]
            self._weight[place] += weight
            return
        deeper = weight > self._weight[place]
        self._made[place][deeper] = made[deeper]
        self._weight[place][deeper] = weight[deeper]

    def picture(self) -> Picture:
        """All of it, uint8."""
        if not self._image:
            return self._made.astype(np.uint8)
        return np.rint(self._made / self._weight[..., None]).clip(0, 255).astype(np.uint8)


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin that cover a length, evenly, and overlap by `_OVERLAP` or more."""
    count = 1 + int(np.ceil((length - tile) / max(1, tile * (1 - _OVERLAP))))
    return np.linspace(0, length - tile, count).round().astype(int).tolist()


def _ramp(tile: int) -> np.ndarray:
    """From little at the edges to 1 in the middle."""
    edge = np.minimum(np.arange(tile), np.arange(tile)[::-1]) + 1
    return (edge / edge.max()).astype(np.float32)


def _padded(picture: Picture, size: tuple[int, int], domain: Domain) -> Picture:
    after = [(0, size[0] - picture.shape[0]), (0, size[1] - picture.shape[1])]
    if not any(end for _, end in after):
        return picture
    more = [*after, (0, 0)] if picture.ndim == 3 else after
    return np.pad(picture, more, mode="symmetric" if domain.kind == "image" else "edge")
