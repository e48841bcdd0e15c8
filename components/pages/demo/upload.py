"""An uploaded picture as the source of a translation; decoded in memory, within bounds."""

import io

import numpy as np
from PIL import Image

from components.samples.domain import Domain, Picture
from components.samples.source import BadSample
from components.sources.fit import middle
from components.sources.given import as_given
from components.sources.pictures import open_picture

MAX_BYTES = 16_000_000  # of the file
_MAX_DECODED = 100_000_000  # bytes while it is decoded: 12.5 million pixels, as telephones take them
_MAX_SCANS = 32  # of a progressive JPEG, each of which is a pass over every pixel; encoders write about ten
_SCAN = b"\xff\xda"
_NAME = "the picture"


def decode_upload(data: bytes, domain: Domain) -> Picture:
    """A picture file as a source: the largest part in the middle that has the shape, scaled to the size.

    `components.sources.given` defines what its pixels mean.

    Args:
        data: the file.
        domain: what it is to be, with the size of the source.

    Returns:
        (H, W, 3) RGB or (H, W) class indices, uint8.

    Raises:
        BadSample: it is no picture, is too large, is broken, or is no label map of these classes.
    """
    if data.count(_SCAN) > _MAX_SCANS:
        raise BadSample(f"{_NAME}: a JPEG of more than {_MAX_SCANS} scans; save it again without them")
    picture = open_picture(io.BytesIO(data), _NAME, _MAX_DECODED)
    height, width = domain.height_width
    picture = picture.crop(middle(picture.size, (width, height)))
    method = Image.Resampling.BICUBIC if domain.kind == "image" else Image.Resampling.NEAREST
    return _scaled(as_given(picture, domain, _NAME), domain.height_width, method)


def _scaled(picture: Picture, size: tuple[int, int], method: Image.Resampling) -> Picture:
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), method))
