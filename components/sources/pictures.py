"""Decoding pictures that may be anything: bounded, and with one defined result for each kind."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from components.domain import Picture
from components.sources.source import BadSample

MAX_PIXELS = 100_000_000
EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
# Only plain raster decoders: others start programs (EPS) or have no business in a data set.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
# What Pillow raises on broken files besides OSError, by trial.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError)


def open_picture(path: Path, name: str) -> Image.Image:
    """Decode a picture whole, turned as its EXIF orientation says; of several frames, the first.

    Args:
        path: the file.
        name: what to call it when it is refused (relative, so that outputs do not hold absolute paths).

    Raises:
        BadSample: not a picture, broken or truncated, or more than MAX_PIXELS, read off the header.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own bound is below; metadata warnings say nothing of pixels
            with Image.open(path, formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise BadSample(_too_large(name, f"{width}x{height}"))
                picture.load()
                return ImageOps.exif_transpose(picture)
    except Image.DecompressionBombError:
        raise BadSample(_too_large(name, "too many")) from None
    except UnidentifiedImageError:
        raise BadSample(f"{name}: not a PNG, JPEG, TIFF, BMP or WebP picture") from None
    except FileNotFoundError:
        raise BadSample(f"{name}: not found") from None
    except _BROKEN as error:
        raise BadSample(f"{name}: broken picture ({' '.join(str(error).split())})") from error


def as_rgb(picture: Image.Image, name: str) -> Picture:
    """The picture as (H, W, 3) uint8 RGB.

    Grey is repeated; 16 bits keep the upper 8; a palette gives its colours; transparent pixels are laid
    over white; CMYK and YCbCr are converted without a colour profile.

    Raises:
        BadSample: 32-bit integers, floats and other kinds whose range is not defined.
    """
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, (255, 255, 255, 255)), seen)
    elif picture.mode not in ("RGB", "RGBX", "L", "1", "P", "CMYK", "YCbCr"):
        raise BadSample(f"{name}: pixels of kind {picture.mode} have no defined range; save it as 8 or 16 bit")
    return np.asarray(picture.convert("RGB"))


def as_indices(picture: Image.Image, classes: int, name: str) -> Picture:
    """The picture's own values (of a palette picture: its indices) as (H, W) uint8 class indices.

    Raises:
        BadSample: more than one channel, or a value that is not below `classes`.
    """
    if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I;16"):
        raise BadSample(f"{name}: {picture.mode} pixels cannot be class indices; give a palette, or 8-bit grey")
    values = np.asarray(picture).astype(np.int64)
    if values.size and values.max() >= classes:
        row, column = np.argwhere(values >= classes)[0]
        raise BadSample(
            f"{name}: label value {values[row, column]} at row {row}, column {column} is outside "
            f"the {classes} classes (0 to {classes - 1})"
        )
    return values.astype(np.uint8)


def _too_large(name: str, pixels: str) -> str:
    return f"{name}: {pixels} pixels, more than {MAX_PIXELS:,}; scale it down or cut it into tiles"
