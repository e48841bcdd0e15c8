"""Class indices out of drawn label maps: the nearest colour of a palette."""

from collections.abc import Sequence

import numpy as np

from components.samples.domain import Colour, Picture


def nearest_colour(picture: Picture, palette: Sequence[Colour]) -> tuple[Picture, float]:
    """The index of the nearest palette colour (Euclidean in RGB; of equals the first) of each pixel.

    Args:
        picture: (H, W, 3) uint8.
        palette: at most 255 colours.

    Returns:
        (H, W) uint8 indices, and the mean distance of the pixels from their colours, 0 to 442.
    """
    # One pass a colour over whole planes of integers: exact, and faster than a matrix product or a table.
    red, green, blue = (np.ascontiguousarray(picture[..., i]).astype(np.int32) for i in range(3))
    least = np.full(red.shape, np.iinfo(np.int32).max, np.int32)
    nearest = np.zeros(red.shape, np.uint8)
    for index, (r, g, b) in enumerate(palette):
        squared = (red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2
        np.copyto(nearest, index, where=squared < least)
        np.minimum(least, squared, out=least)
    return nearest, float(np.sqrt(least).mean())
