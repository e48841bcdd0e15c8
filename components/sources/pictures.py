"""Decoding pictures of unknown origin: within bounds, and with one defined result for each kind."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from components.samples.domain import Picture
from components.samples.source import BadSample
from components.sources.formats import FORMATS
from components.sources.headers import BYTES, in_file, lossy, most_pixels, tile, varies, white_is_zero

MAX_BYTES = 400_000_000  # that a picture may take while it is decoded and fitted
_BAND = 1 << 20  # pixels converted at a time
# The memory of large pictures then goes back to the system as soon as they are dropped: pieces of above 32 MB are
# mapped one by one, and Pillow's own 16 MB would stay behind in the heap beside the next picture.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]
# Keys of a picture's `info`, which crops of it keep: the format that has changed its pixels; how its values as they are
# in the file follow from those that Pillow gives; a fourth band that is no transparency; 16 bits of which 0 is white.
LOSSY, IN_FILE, NO_ALPHA = "pix2pipe.lossy", "pix2pipe.in_file", "pix2pipe.no_alpha"
WHITE_IS_ZERO = "pix2pipe.white_is_zero"
# What Pillow raises on broken files besides OSError, by trial.
_BROKEN = (RuntimeError, OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError)


def open_picture(path: Path | IO[bytes], name: str, most_bytes: int = MAX_BYTES) -> Image.Image:
    """Decode a picture whole, turned as its EXIF orientation says; of several frames, the first.

    Args:
        path: the file, or an open one, such as bytes in memory.
        name: what to call it when it is refused (relative, so that outputs do not hold absolute paths).
        most_bytes: that it may take while it is decoded and fitted.

    Raises:
        BadSample: not a picture, broken or truncated, or one that would take more than that, read off the header.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own bound is below; metadata warnings say nothing of pixels
            if isinstance(path, Path) and path.exists() and not path.is_file():
                raise BadSample(f"{name}: is not a file (but a folder, a pipe or a device)")
            with Image.open(path, formats=FORMATS) as picture:
                width, height = picture.size
                most = most_pixels(picture, most_bytes)
                for columns, rows in (picture.size, tile(picture)):
                    if columns * rows > most:
                        raise BadSample(_too_large(name, f"{columns}x{rows}", most))
                if not width * height:
                    raise BadSample(f"{name}: broken picture ({width}x{height} pixels)")
                if format_name := lossy(picture):
                    picture.info[LOSSY] = format_name
                if values := in_file(picture):
                    picture.info[IN_FILE] = values
                picture.load()
                if picture.mode == "RGBA" and varies(picture.getchannel("A")):
                    picture.info[NO_ALPHA] = True
                if picture.mode.startswith("I;16") and white_is_zero(picture):
                    picture.info[WHITE_IS_ZERO] = True
                ImageOps.exif_transpose(picture, in_place=True)
                return picture
    except Image.DecompressionBombError:
        raise BadSample(_too_large(name, "too many", most_bytes // BYTES)) from None
    except UnidentifiedImageError:
        raise BadSample(f"{name}: not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture") from None
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
    width, height = picture.size
    rgb = np.empty((height, width, 3), np.uint8)
    for top, band in rgb_bands(picture, (0, 0, width, height), name):
        rgb[top : top + len(band)] = band
    return rgb


def rgb_bands(
    picture: Image.Image,
    box: tuple[int, int, int, int],
    name: str,
    span: tuple[float, float] | None = None,
    bands: tuple[int, int, int] | None = None,
) -> Iterator[tuple[int, Picture]]:
    """A part of a picture as `as_rgb` gives it, some rows at a time, so that no more than these are held twice.

    Args:
        picture: decoded.
        box: left, top, right and bottom of the part.
        name: as in `as_rgb`.
        span: of 16-bit grey, the values that become 0 and 255; None: 0 and 65,535.
        bands: which of its bands are red, green and blue; None: as its kind says.

    Yields:
        The first of the rows, counted from the top of the part, and the rows.
    """
    left, top, right, bottom = box
    rows = max(1, _BAND // max(1, right - left))
    for first in range(top, bottom, rows):
        yield first - top, _rgb(picture.crop((left, first, right, min(first + rows, bottom))), name, span, bands)


def _rgb(
    picture: Image.Image, name: str, span: tuple[float, float] | None, bands: tuple[int, int, int] | None
) -> Picture:
    if bands is not None:
        if picture.mode == "P" or len(picture.getbands()) <= max(2, *bands):
            raise BadSample(
                f"{name}: bands asks for band {max(bands)}, and this picture ({picture.mode}) has "
                f"{1 if picture.mode == 'P' else len(picture.getbands())}; remove bands from this side, or convert"
            )
        return np.ascontiguousarray(np.asarray(picture)[..., list(bands)])
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint16)
        if WHITE_IS_ZERO in picture.info and span is None:
            values = 65_535 - values
        grey = (values >> 8).astype(np.uint8)
        if span is not None:
            low, high = span
            grey = np.clip((values - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
        if isinstance(clear := picture.info.get("transparency"), int):
            grey[values == clear] = 255
        return np.repeat(grey[:, :, None], 3, axis=2)
    if span is not None:
        raise BadSample(f"{name}: range is for 16-bit grey, and this is {picture.mode}; remove it, or convert")
    if NO_ALPHA in picture.info:
        raise BadSample(
            f"{name}: its fourth band is marked as transparency and varies as a picture does (infrared, perhaps); of a "
            "photo, say which bands are red, green and blue, such as bands: [0, 1, 2] of its side; else save it without"
        )
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, (255, 255, 255, 255)), seen)
    elif picture.mode not in ("RGB", "RGBX", "L", "1", "P", "CMYK", "YCbCr"):
        raise BadSample(f"{name}: pixels of kind {picture.mode} have no defined range; save it as 8 or 16 bit")
    return np.asarray(picture.convert("RGB"))


def as_indices(picture: Image.Image, classes: int, name: str, ignore: int | None = None) -> Picture:
    """The picture's own values (of a palette picture: its indices) as (H, W) uint8 class indices.

    Raises:
        BadSample: more than one channel, or a value that is neither below `classes` nor `ignore`.
    """
    if LOSSY in picture.info:
        raise BadSample(
            f"{name}: {picture.info[LOSSY]} changes pixels, so its values are not the class indices that were meant; "
            "save index maps as PNG, or give the side a palette if it is drawn in colours"
        )
    if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I;16"):
        raise BadSample(f"{name}: {picture.mode} pixels cannot be class indices; give a palette, or 8-bit grey")
    values = np.asarray(picture)
    if IN_FILE in picture.info:
        most, inverted = picture.info[IN_FILE]
        whole = 1 if picture.mode == "1" else 255
        shown = whole - values.astype(np.uint8) if inverted else values.astype(np.uint8)
        values = np.rint(shown * (most / whole))
    strange = values >= classes if ignore is None else (values >= classes) & (values != ignore)
    if strange.any():
        row, column = divmod(int(np.argmax(strange)), values.shape[1])
        advice = "" if ignore is not None else "; a value that stands for not labelled is the side's ignore"
        raise BadSample(
            f"{name}: label value {int(values[row, column])} at row {row}, column {column} is outside "
            f"the {classes} classes (0 to {classes - 1}){advice}"
        )
    return values.astype(np.uint8)


def _too_large(name: str, pixels: str, most: int) -> str:
    return f"{name}: {pixels} pixels, more than {most:,}; scale it down or cut it into tiles"
