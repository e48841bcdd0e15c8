"""Values are read as they are meant: stated ranges, bands, and indices as they stand in the file."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from pydantic import ValidationError

from components.domain import Domain
from components.shards.dark import dark_domains
from components.shards.writer import write_set
from components.sources.fit import FolderCut, fitted
from components.sources.folder_config import Side
from components.sources.pictures import as_indices, as_rgb, open_picture
from components.sources.source import BadSample

CUT = FolderCut(name="folder", image_size=4)
DEEP = np.arange(0, 4096, 256, dtype=np.uint16).reshape(4, 4)


def opened(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return open_picture(tmp_path / name, name)


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_a_stated_range_spreads_the_values(tmp_path, name):
    picture = opened(tmp_path, Image.fromarray(DEEP), name)
    assert fitted(picture, Side(name="a"), CUT, name).max() == 15  # nearly black
    spread = fitted(picture, Side(name="a", range=(0, 4095)), CUT, name)[..., 0]
    assert np.array_equal(spread, np.round(DEEP * (255 / 4095)).astype(np.uint8))
    over = fitted(picture, Side(name="a", range=(1000, 2000)), CUT, name)[..., 0]
    assert (over.min(), over.max()) == (0, 255)
    with pytest.raises(BadSample, match=r"range is of 16-bit grey"):
        fitted(Image.new("RGB", (4, 4)), Side(name="a", range=(0, 4095)), CUT, name)


@pytest.mark.parametrize("change", [{"range": (5, 5)}, {"bands": (0, 1, 4)}, {"range": (0, 9), "classes": ("a", "b")}])
def test_ranges_and_bands_that_make_no_sense_are_refused(change):
    with pytest.raises(ValidationError):
        Side(name="a", **change)


def test_the_upper_half_that_is_never_used_is_said(tmp_path):
    domains = {"dark": Domain(kind="image"), "light": Domain(kind="image")}
    samples = [
        (f"{i}", {"dark": np.full((4, 4, 3), i, np.uint8), "light": np.full((4, 4, 3), 200, np.uint8)})
        for i in range(16)
    ]
    write_set(
        tmp_path / "set",
        "x",
        domains,
        ("dark", "light"),
        (4, 4),
        {"train": samples, "val": [], "test": []} | {"val": samples[:2], "test": samples[:2]},
    )
    (line,) = dark_domains(tmp_path / "set")
    assert line.startswith("dark: the brightest value of 16 pictures is 15 of 255")


def test_a_fourth_band_that_varies_is_no_transparency(tmp_path):
    values = np.random.default_rng(0).integers(1, 250, (8, 8, 4)).astype(np.uint8)
    picture = opened(tmp_path, Image.fromarray(values, "RGBA"), "x.tif")
    with pytest.raises(BadSample, match=r"bands: \[0, 1, 2\]"):
        as_rgb(picture, "x.tif")
    cut = FolderCut(name="folder", image_size=8)
    assert np.array_equal(fitted(picture, Side(name="a", bands=(0, 1, 2)), cut, "x"), values[..., :3])
    assert np.array_equal(fitted(picture, Side(name="a", bands=(3, 0, 1)), cut, "x"), values[..., [3, 0, 1]])
    values[..., 3] = np.where(values[..., 3] > 120, 255, 0)  # a mask is transparency
    assert as_rgb(opened(tmp_path, Image.fromarray(values, "RGBA"), "y.tif"), "y").shape == (8, 8, 3)


def test_a_transparent_grey_of_16_bits_lies_over_white(tmp_path):
    picture = opened(tmp_path, Image.fromarray(DEEP * 16), transparency=int(DEEP[0, 1]) * 16)
    assert as_rgb(picture, "x")[0, :2, 0].tolist() == [0, 255]


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_is_read_as_the_values_in_the_file(tmp_path, bits):
    """Written by hand: Pillow writes grey of 8 bits alone."""
    import struct
    import zlib

    values = np.arange(16).reshape(4, 4) % 2**bits
    rows = b"".join(
        b"\0"
        + bytes(int("".join(f"{v:0{bits}b}" for v in row)[i : i + 8].ljust(8, "0"), 2) for i in range(0, 4 * bits, 8))
        for row in values
    )
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert np.array_equal(as_indices(open_picture(tmp_path / "x.png", "x"), 2**bits, "x"), values)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_a_tiff_in_which_0_is_white_gives_the_values_in_the_file(tmp_path, mode):
    values = (np.arange(64).reshape(8, 8) % (2 if mode == "1" else 5)).astype(np.uint8)
    shown = (
        Image.fromarray(255 - values)
        if mode == "L"
        else Image.fromarray(((1 - values) * 255).astype(np.uint8)).convert("1")
    )
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    shown.save(tmp_path / "x.tif", tiffinfo=tags)
    with Image.open(tmp_path / "x.tif") as plain:
        entry = plain.tag_v2[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION]
    assert entry == 1
    data = bytearray((tmp_path / "x.tif").read_bytes())
    place = data.index(bytes([0x06, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00]))
    data[place + 8] = 0  # the file says that 0 is white
    (tmp_path / "x.tif").write_bytes(data)
    stored = 255 - values if mode == "L" else 1 - values  # what its bytes are
    found = as_indices(open_picture(tmp_path / "x.tif", "x"), 256 if mode == "L" else 2, "x")
    assert np.array_equal(found, stored)
