"""How your own picture is brought to the size of a sample, and a label map to class indices."""

from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from components.samples.domain import ImageSize, Picture, height_width
from components.samples.schema import Section
from components.samples.source import BadSample
from components.sources.folder_config import Side
from components.sources.palette import nearest_colour
from components.sources.pictures import as_indices, rgb_bands


class PictureCut(Section):
    """How pictures become samples.

    Attributes:
        image_size: side of a square sample, or its [height, width], in pixels.
        fit: what happens to a picture of other proportions. crop: the largest part of the sample's proportions in the
            middle, scaled; stretch: the whole, scaled.
        tolerance: most that the colours of a drawn label map may be off the palette, as the mean RGB distance
            (0 to 442). JPEG blur stays below 50; a photo taken for labels is above 100.
    """

    image_size: ImageSize = 64
    fit: Literal["crop", "stretch"] = "crop"
    tolerance: Annotated[float, Field(gt=0)] = 72.0


class FolderCut(PictureCut):
    """How pictures in a folder become samples: see PictureCut."""

    name: Literal["folder"]


def fitted(picture: Image.Image, side: Side, cut: PictureCut, name: str) -> Picture:
    """A picture of one side as a sample holds it: (height, width, 3) RGB, or (height, width) class indices.

    Args:
        picture: decoded, of any size.
        side: what it is.
        cut: the size, and what becomes of a picture of other proportions.
        name: what to call it when it is refused.

    Raises:
        BadSample: its pixels are not what `side` says.
    """
    tall, wide = height_width(cut.image_size)
    size, domain = (wide, tall), side.domain()
    box = middle(picture.size, size) if cut.fit == "crop" else (0, 0, *picture.size)
    width, height = box[2] - box[0], box[3] - box[1]
    if domain.kind == "image":
        whole = Image.new("RGB", (width, height))
        for first, band in rgb_bands(picture, box, name, side.range, side.bands):
            whole.paste(Image.fromarray(band), (0, first))
        return np.asarray(whole.resize(size, Image.Resampling.BICUBIC))
    labels = _drawn(picture, box, side, cut, name) if side.palette else _indices(picture, box, side, name)
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def middle(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of a picture that has the proportions of `shape`; both (width, height)."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    width, height = (max(1, round(side * scale)) for side in shape)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _indices(picture: Image.Image, box: tuple[int, int, int, int], side: Side, name: str) -> Picture:
    return as_indices(picture.crop(box), len(side.classes), name, side.ignore)


def _drawn(picture: Image.Image, box: tuple[int, int, int, int], side: Side, cut: PictureCut, name: str) -> Picture:
    """The class indices of a part of a label map that is drawn in colours."""
    left, top, right, bottom = box
    labels, distances = np.empty((bottom - top, right - left), np.uint8), 0.0
    for first, band in rgb_bands(picture, box, name):
        labels[first : first + len(band)], distance = nearest_colour(band, side.domain().palette)
        distances += distance * len(band)
    if (distance := distances / len(labels)) > cut.tolerance:
        raise BadSample(
            f"{name}: colours of {side.name} are {distance:.0f} off its palette on average, more than "
            f"shard.cut.tolerance = {cut.tolerance:g}; are A and B exchanged?"
        )
    return labels
