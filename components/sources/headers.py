"""What the header of an open picture says before anything is decoded, and how its decoder will change its values."""

from typing import IO

from PIL import Image, TiffImagePlugin

BYTES = 8  # that a pixel takes while it is read: decoded, and once more as RGB
_BYTES_PROGRESSIVE, _BYTES_WEBP = 12, 17  # as measured: what these two decoders hold beside
_BYTES_LIBRARY = 32  # of decoders that hold every channel in 32 bits beside (OpenJPEG, AVIF's)
# Formats that change pixels where they are written; WebP is one of two kinds, which the file says.
_LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF")


def most_pixels(picture: Image.Image, most_bytes: int) -> int:
    """How many pixels a picture of this kind may have; of one that is open and not yet decoded."""
    if picture.format == "WEBP":
        return most_bytes // _BYTES_WEBP
    if picture.format in ("JPEG2000", "AVIF"):
        return most_bytes // _BYTES_LIBRARY
    return most_bytes // (_BYTES_PROGRESSIVE if picture.info.get("progressive") else BYTES)


def lossy(picture: Image.Image) -> str:
    """The name of the format of an open picture if it is one that changes pixels, else empty."""
    if picture.format in _LOSSY:
        return str(picture.format)
    if picture.format == "WEBP" and not picture.info.get("lossless", lossless_webp(picture)):
        return "lossy WebP"
    if picture.format == "TIFF" and picture.info.get("compression") in ("jpeg", "tiff_jpeg", "webp"):
        return f"TIFF with {picture.info['compression']} inside"
    return ""


def in_file(picture: Image.Image) -> tuple[int, bool] | None:
    """Of grey whose values Pillow changes: the greatest value that the file can hold, and whether they are inverted.

    Pillow spreads the values of 2 and 4 bits, and those of a PGM below its own greatest value, over 0 to 255, and turns
    a TIFF and a PBM, in which 0 is white, round.
    """
    if picture.format == "PNG":
        file: IO[bytes] = picture.fp  # type: ignore[attr-defined]
        place = file.tell()
        file.seek(24)
        bits, kind = file.read(2)
        file.seek(place)
        return (2**bits - 1, False) if kind == 0 and bits in (2, 4) else None
    if picture.format == "PPM" and picture.mode == "1":
        return 1, True
    if picture.format == "PPM" and picture.mode == "L":
        arguments = picture.tile[0].args  # type: ignore[attr-defined]
        most = arguments[1] if isinstance(arguments, tuple) else 255
        return (most, False) if most != 255 else None
    if isinstance(picture, TiffImagePlugin.TiffImageFile) and picture.mode in ("1", "L"):
        bits = int((picture.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE) or (1,))[0])
        inverted = white_is_zero(picture)
        most = 2**bits - 1 if bits in (1, 2, 4) else 255
        return (most, inverted) if inverted or bits in (2, 4) else None
    return None


def white_is_zero(picture: Image.Image) -> bool:
    """Whether a TIFF says that its value 0 is white."""
    tags = picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else {}
    return tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def varies(alpha: Image.Image) -> bool:
    """Whether a band has more in between than at its ends, which transparency has not."""
    counts = alpha.histogram()
    return counts[0] + counts[255] < sum(counts) / 2


def lossless_webp(picture: Image.Image) -> bool:
    """Whether the chunks of a WebP file hold VP8L, its lossless kind."""
    file: IO[bytes] = picture.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    head = file.read(4096)
    file.seek(place)
    return b"VP8L" in head


def tile(picture: Image.Image) -> tuple[int, int]:
    """Of a TIFF in tiles, the width and height of one, which may be far beyond those of the picture."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return 0, 0
    tags = picture.tag_v2
    return int(tags.get(TiffImagePlugin.TILEWIDTH, 0)), int(tags.get(TiffImagePlugin.TILELENGTH, 0))
