"""A picture that somebody sends, as the source of a translation; decoded in memory, within bounds."""

import io

import numpy as np
from PIL import Image

from components.domain import Domain, Picture
from components.sources.fit import middle
from components.sources.palette import nearest_colour
from components.sources.pictures import as_indices, as_rgb, open_picture, rgb_bands
from components.sources.source import BadSample

MAX_BYTES = 16_000_000  # of the file
_MAX_DECODED = 100_000_000  # bytes while it is decoded: 12.5 million pixels, as telephones take them
_MAX_SCANS = 32  # of a progressive JPEG, each of which is a pass over every pixel; encoders write about ten
_SCAN = b"\xff\xda"
_TOLERANCE = 72.0  # mean RGB distance from the palette, as shard.cut.tolerance
_NAME = "the picture"


def decode_upload(data: bytes, domain: Domain, size: tuple[int, int]) -> Picture:
    """A picture file as a source: the largest part in the middle that has the shape, scaled to the size.

    For labels, a grey picture holds the class indices; one in colour (or with a palette) is drawn in the classes'
    colours, and each pixel becomes the class of the nearest.

    Args:
        data: the file.
        domain: what it is to be.
        size: (height, width) of the source.

    Returns:
        (H, W, 3) RGB or (H, W) class indices, uint8.

    Raises:
        BadSample: it is no picture, is too large, is broken, or is no label map of these classes.
    """
    if data.count(_SCAN) > _MAX_SCANS:
        raise BadSample(f"{_NAME}: a JPEG of more than {_MAX_SCANS} scans; save it again without them")
    picture = open_picture(io.BytesIO(data), _NAME, _MAX_DECODED)
    picture = picture.crop(middle(picture.size, (size[1], size[0])))
    if domain.kind == "image":
        return _scaled(as_rgb(picture, _NAME), size, Image.Resampling.BICUBIC)
    return _scaled(as_labels(picture, domain, _NAME), size, Image.Resampling.NEAREST)


def as_labels(picture: Image.Image, domain: Domain, name: str) -> Picture:
    """Class indices, (H, W) uint8: the values of a grey picture, or of one in colours the nearest class of each pixel.

    Raises:
        BadSample: a value that is no class, or colours far off those of the classes.
    """
    if picture.mode in ("1", "L") or picture.mode.startswith("I;16"):
        return as_indices(picture, len(domain.classes), name)
    labels, distance = np.empty((picture.height, picture.width), np.uint8), 0.0
    for first, band in rgb_bands(
        picture, (0, 0, picture.width, picture.height), _NAME
    ):  # whole it takes 30 bytes a pixel
        labels[first : first + len(band)], off = nearest_colour(band, domain.palette)
        distance += off * len(band) / len(labels)
    if distance > _TOLERANCE:
        raise BadSample(f"{name}: its colours are {distance:.0f} off those of the classes on average; is it a photo?")
    return labels


def _scaled(picture: Picture, size: tuple[int, int], method: Image.Resampling) -> Picture:
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), method))
