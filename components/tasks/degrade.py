"""What a photo loses: colour, surface, detail or focus. Pure functions of uint8 RGB pictures (H, W, 3)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.feature import canny

from components.samples.domain import Picture

FILL = 128  # mean grey, the middle of what networks see


def edges(photo: Picture, low: float, high: float, sigma: float) -> Picture:
    """Outlines one pixel wide, black on white (Canny 1986, as scikit-image has it).

    A classical detector stands where the paper's edges -> photo takes HED (Isola et al. 2017, section 4):
    it needs no weights, and is the same everywhere.

    Args:
        photo: uint8 RGB (H, W, 3).
        low, high: of the length of the two Sobel sums of the grey photo in [0, 1].
        sigma: of the smoothing before, in pixels.
    """
    lines = canny(_luma(photo) / 255.0, sigma=sigma, low_threshold=low, high_threshold=high)
    return _repeated(np.where(lines, 0, 255).astype(np.uint8))


def grey(photo: Picture) -> Picture:
    """0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), rounded, in three equal channels."""
    return _repeated(_luma(photo))


def filled(photo: Picture, hole: NDArray[np.bool_]) -> Picture:
    """The photo with mean grey where the hole (H, W) is."""
    return np.where(hole[:, :, None], np.uint8(FILL), photo)


def small(photo: Picture, factor: int) -> Picture:
    """Each side a `factor`-th, bicubic; Pillow widens its kernel by the factor, so nothing aliases."""
    height, width = photo.shape[:2]
    size = width // factor, height // factor
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))


def enlarged(photo: Picture, factor: int) -> Picture:
    """Each side `factor` times as long, bicubic."""
    height, width = photo.shape[:2]
    size = width * factor, height * factor
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))


def blurred(photo: Picture, sigma: float, noise: float, rng: np.random.Generator) -> Picture:
    """A Gaussian blur of each channel, mirrored at the rim, then Gaussian noise, in grey levels of 255."""
    soft = gaussian_filter(photo.astype(np.float64), (sigma, sigma, 0), mode="reflect")
    if noise:
        soft += rng.normal(0, noise, soft.shape)
    return soft.round().clip(0, 255).astype(np.uint8)


def _luma(photo: Picture) -> Picture:
    return np.asarray(Image.fromarray(photo).convert("L"))


def _repeated(channel: Picture) -> Picture:
    return np.repeat(channel[:, :, None], 3, axis=2)
