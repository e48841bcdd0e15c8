"""The jitter of training pictures."""

import numpy as np
from PIL import Image
from pydantic import PositiveInt

from components.domain import Domain
from components.schema import Section

Sample = dict[str, np.ndarray]


class AugmentConfig(Section):
    """Jitter of the training pictures, the same for both of a pair (Isola et al. 2017, section 6.2).

    `resize` enlarges so that the shorter side has that many pixels, and crops the sample's own size at random;
    flips are by a fair coin each. A map has no up or down, so the Earth flips both ways; a facade only horizontally.
    """

    resize: PositiveInt | None = None
    horizontal_flip: bool = True
    vertical_flip: bool = False


def augment(sample: Sample, domains: dict[str, Domain], config: AugmentConfig, seed: int) -> Sample:
    """Jitter all pictures of a sample alike; a pure function of the seed.

    Args:
        sample: uint8 pictures of one size, (H, W, 3) or (H, W), by domain; a category stays as it is.
        seed: decides the crop and the flips.
    """
    rng = np.random.default_rng(seed)
    offset, flips = rng.random(2), rng.random(2) < 0.5
    out = {}
    for name, picture in sample.items():
        if domains[name].kind == "category":
            out[name] = picture
            continue
        if config.resize is not None:
            picture = _enlarge_and_crop(picture, domains[name], config.resize, offset)
        if config.horizontal_flip and flips[0]:
            picture = picture[:, ::-1]
        if config.vertical_flip and flips[1]:
            picture = picture[::-1]
        out[name] = picture
    return out


def _enlarge_and_crop(picture: np.ndarray, domain: Domain, side: int, offset: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = max(side / min(height, width), 1)
    tall, wide = round(height * scale), round(width * scale)
    method = Image.Resampling.BICUBIC if domain.kind == "image" else Image.Resampling.NEAREST
    large = np.asarray(Image.fromarray(picture).resize((wide, tall), method))
    top, left = int(offset[0] * (tall - height + 1)), int(offset[1] * (wide - width + 1))
    return large[top : top + height, left : left + width]
