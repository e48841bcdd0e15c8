"""How a picture of one's own is brought to the size of a sample, and its label maps to class indices."""

from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field, PositiveInt

from components.domain import Picture
from components.schema import Section
from components.sources.folder_config import Side
from components.sources.palette import nearest_colour
from components.sources.pictures import as_indices, as_rgb
from components.sources.source import BadSample


class FolderCut(Section):
    """How pictures become samples.

    Attributes:
        size: side of a sample, in pixels.
        fit: what becomes of a picture that is not square. crop: the largest square in the middle, scaled;
            stretch: the whole, scaled to the square.
        tolerance: most that the colours of a drawn label map may be off the palette, as the mean RGB distance
            (0 to 442). JPEG blur stays below 50; a photo taken for labels is above 100.
    """

    name: Literal["folder"]
    size: PositiveInt = 64
    fit: Literal["crop", "stretch"] = "crop"
    tolerance: Annotated[float, Field(gt=0)] = 72.0


def fitted(picture: Image.Image, side: Side, cut: FolderCut, name: str) -> Picture:
    """A picture of one side as a sample holds it: (size, size, 3) RGB, or (size, size) class indices.

    Args:
        picture: decoded, of any size.
        side: what it is.
        cut: the size, and what becomes of a picture that is not square.
        name: what to call it when it is refused.

    Raises:
        BadSample: its pixels are not what `side` says.
    """
    if cut.fit == "crop":
        least = min(picture.size)
        left, top = (picture.size[0] - least) // 2, (picture.size[1] - least) // 2
        picture = picture.crop((left, top, left + least, top + least))
    size, domain = (cut.size, cut.size), side.domain()
    if domain.kind == "image":
        return np.asarray(Image.fromarray(as_rgb(picture, name)).resize(size, Image.Resampling.BICUBIC))
    if side.palette:
        labels, distance = nearest_colour(as_rgb(picture, name), domain.palette)
        if distance > cut.tolerance:
            raise BadSample(
                f"{name}: colours of {side.name} are {distance:.0f} off its palette on average, more than "
                f"shard.cut.tolerance = {cut.tolerance:g}; are A and B exchanged?"
            )
    else:
        labels = as_indices(picture, len(domain.classes), name)
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
