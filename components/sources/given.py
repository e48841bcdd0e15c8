"""A picture that a person gives to a trained model, read as a picture of the model's domain."""

import numpy as np
from PIL import Image

from components.samples.domain import Domain, Picture
from components.samples.source import BadSample
from components.sources.palette import nearest_colour
from components.sources.pictures import as_indices, rgb_bands

_TOLERANCE = 72.0  # mean RGB distance from the palette, as shard.cut.tolerance


def as_given(picture: Image.Image, domain: Domain, name: str) -> Picture:
    """A decoded picture as the domain says, of its own size: (H, W, 3) RGB, or (H, W) class indices, uint8.

    A photo is read with the domain's `range` and `bands`, like the pictures that the model learned from. For labels,
    a grey picture holds the class indices; one in colour (or with a palette) is drawn in the classes' colours, and each
    pixel becomes the class of the nearest.

    Args:
        name: what to call it when it is refused.

    Raises:
        BadSample: pixels that are not what the domain says.
    """
    whole = (0, 0, picture.width, picture.height)
    if domain.kind == "image":
        rgb = np.empty((picture.height, picture.width, 3), np.uint8)
        for first, band in rgb_bands(picture, whole, name, domain.range, domain.bands):
            rgb[first : first + len(band)] = band
        return rgb
    if picture.mode in ("1", "L") or picture.mode.startswith("I;16"):
        return as_indices(picture, len(domain.classes), name, domain.ignore)
    labels, distance = np.empty((picture.height, picture.width), np.uint8), 0.0
    for first, band in rgb_bands(picture, whole, name):  # whole it takes 30 bytes a pixel
        labels[first : first + len(band)], off = nearest_colour(band, domain.palette)
        distance += off * len(band) / len(labels)
    if distance > _TOLERANCE:
        raise BadSample(f"{name}: its colours are {distance:.0f} off those of the classes on average; is it a photo?")
    return labels
