"""Values are read as they are meant: stated ranges, bands, and indices as they stand in the file."""

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from pydantic import ValidationError

from components.samples.domain import Domain, sized
from components.samples.source import BadSample
from components.samples.task import Task
from components.shards.dark import dark_domains
from components.shards.writer import write_set
from components.sources.fit import FolderCut, fitted
from components.sources.folder_config import Side
from components.sources.given import as_given
from components.sources.pictures import as_indices, as_rgb, open_picture

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
    with pytest.raises(BadSample, match=r"range is for 16-bit grey"):
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
        sized(domains, (4, 4)),
        Task(source="dark", target="light"),
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


@pytest.mark.parametrize("most", [1, 3, 18, 200, 255])
def test_a_pgm_gives_the_values_in_the_file(tmp_path, most):
    values = (np.arange(64).reshape(8, 8) % (most + 1)).astype(np.uint8)
    (tmp_path / "x.pgm").write_bytes(b"P5 8 8 %d\n" % most + values.tobytes())
    (tmp_path / "plain.pgm").write_text(f"P2 8 8 {most}\n" + " ".join(map(str, values.ravel())))
    for name in ("x.pgm", "plain.pgm"):
        assert np.array_equal(as_indices(open_picture(tmp_path / name, name), most + 1, name), values), name


def test_a_pbm_gives_the_values_in_the_file(tmp_path):
    """In a PBM 1 is black, and Pillow shows it so."""
    (tmp_path / "x.pbm").write_text("P1 2 2 0 1 1 1")
    assert as_indices(open_picture(tmp_path / "x.pbm", "x"), 2, "x").tolist() == [[0, 1], [1, 1]]


@pytest.mark.parametrize("image", [Image.new("L", (4, 4)), Image.new("P", (4, 4)), Image.fromarray(DEEP)])
def test_bands_of_a_picture_that_has_one_are_refused(tmp_path, image):
    picture = opened(tmp_path, image)
    with pytest.raises(BadSample, match=r"bands asks for band 2, and this picture \(.*\) has 1"):
        fitted(picture, Side(name="a", bands=(0, 1, 2)), CUT, "x")


def test_a_tiff_of_16_bits_in_which_0_is_white_is_shown_so(tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(DEEP * 16).save(path)
    data = bytearray(path.read_bytes())
    place = data.index(bytes([0x06, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00]))
    data[place + 8] = 0
    path.write_bytes(data)
    picture = open_picture(path, "x")
    assert np.array_equal(as_rgb(picture, "x")[..., 0], 255 - (DEEP * 16 >> 8))
    spread = fitted(picture, Side(name="a", range=(65_535, 65_536)), CUT, "x")  # a stated range is of the file's values
    assert spread.max() == 0


def test_a_photo_of_a_telephone_with_a_second_picture_is_its_first(tmp_path):
    first = Image.fromarray(np.full((8, 8, 3), 200, np.uint8))
    first.save(tmp_path / "x.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    with Image.open(tmp_path / "x.jpg") as plain:
        assert plain.format == "MPO"
    picture = open_picture(tmp_path / "x.jpg", "x.jpg")
    assert abs(as_rgb(picture, "x").astype(int) - 200).max() <= 2
    with pytest.raises(BadSample, match="MPO changes pixels"):
        as_indices(picture, 255, "x.jpg")


def test_what_a_version_is_given_is_read_as_what_it_learned_from(tmp_path):
    """A version of 12-bit pictures gets 12-bit pictures; the card carries how they are read."""
    side = Side(name="a", range=(0, 4095))
    picture = opened(tmp_path, Image.fromarray(DEEP))
    card = Domain.model_validate_json(side.domain().model_dump_json())
    assert np.array_equal(as_given(picture, card, "x"), fitted(picture, side, CUT, "x"))
    bands = Side(name="a", bands=(3, 0, 1)).domain()
    values = np.random.default_rng(0).integers(1, 250, (8, 8, 4)).astype(np.uint8)
    given = as_given(opened(tmp_path, Image.fromarray(values, "RGBA"), "y.tif"), bands, "y.tif")
    assert np.array_equal(given, values[..., [3, 0, 1]])


def test_a_domain_without_them_is_written_as_before():
    """Manifests and cards of sets without ignore, range and bands keep their hashes."""
    assert Domain(kind="image").model_dump(mode="json") == {
        "kind": "image",
        "classes": [],
        "palette": [],
        "encoding": "one_hot",
    }
