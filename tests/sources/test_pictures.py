"""Every kind of picture has one defined result, or is refused by name."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from components.samples.source import BadSample
from components.sources.keys import sample_keys
from components.sources.palette import nearest_colour
from components.sources.pictures import as_indices, as_rgb, open_picture

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)


def saved(tmp_path, image, name="x.png", **options):
    image.save(tmp_path / name, **options)
    return open_picture(tmp_path / name, name)


def huge_png(width, height):
    """The header of a PNG, and next to nothing behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_grey_is_repeated(tmp_path):
    for name in ("x.png", "x.tif", "x.bmp"):
        rgb = as_rgb(saved(tmp_path, Image.fromarray(GREY), name), name)
        np.testing.assert_array_equal(rgb, np.stack([GREY] * 3, -1))


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    deep = GREY.astype(np.uint16) * 256 + 77
    for name in ("x.png", "x.tif"):
        rgb = as_rgb(saved(tmp_path, Image.fromarray(deep), name), name)
        np.testing.assert_array_equal(rgb, np.stack([GREY] * 3, -1))


def test_transparent_pixels_lie_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [0, 255, 128]
    rgb = as_rgb(saved(tmp_path, Image.fromarray(rgba)), "x")
    assert rgb[0, :, 0].tolist() == [255, 0, 127]
    grey_alpha = Image.fromarray(rgba).convert("LA")
    assert as_rgb(saved(tmp_path, grey_alpha), "x")[0, 0].tolist() == [255, 255, 255]


def test_palette_gives_colours_or_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "L").convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = saved(tmp_path, image)
    assert as_rgb(picture, "x")[0].tolist() == [[255, 0, 0], [0, 255, 0]]
    assert as_indices(picture, 3, "x").tolist() == [[0, 1], [2, 1]]
    image.info["transparency"] = 1
    image.save(tmp_path / "t.png", transparency=1)
    assert as_rgb(open_picture(tmp_path / "t.png", "t"), "t")[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_exif_orientation_is_applied(tmp_path):
    pixels = np.repeat(np.repeat(GREY, 8, 0), 8, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = as_rgb(saved(tmp_path, Image.fromarray(pixels), "x.jpg", exif=exif, quality=100), "x")
    assert np.abs(turned[..., 0].astype(int) - np.rot90(pixels, -1)).max() <= 3


def test_cmyk_is_converted_and_floats_are_refused(tmp_path):
    assert as_rgb(saved(tmp_path, Image.new("CMYK", (2, 2)), "x.tif"), "x").tolist() == [[[255] * 3] * 2] * 2
    for mode in ("F", "I"):
        with pytest.raises(BadSample, match=rf"x\.tif: pixels of kind {mode}"):
            as_rgb(saved(tmp_path, Image.new(mode, (2, 2)), "x.tif"), "x.tif")


def test_first_frame_of_several(tmp_path):
    frames = [Image.new("L", (3, 3), value) for value in (10, 200)]
    frames[0].save(tmp_path / "x.tif", save_all=True, append_images=frames[1:])
    assert as_rgb(open_picture(tmp_path / "x.tif", "x"), "x").max() == 10


def test_label_outside_the_classes_is_named(tmp_path):
    for values in (GREY % 5, (GREY % 5).astype(np.uint16)):
        values[2, 3] = 7
        picture = saved(tmp_path, Image.fromarray(values))
        with pytest.raises(BadSample, match=r"x: label value 7 at row 2, column 3 is outside the 5 classes \(0 to 4\)"):
            as_indices(picture, 5, "x")
    with pytest.raises(BadSample, match="RGB pixels cannot be class indices"):
        as_indices(Image.new("RGB", (2, 2)), 5, "x")


def test_huge_picture_is_refused_by_its_header(tmp_path):
    for width, height in ((50_000, 50_000), (5_001, 10_000)):
        (tmp_path / "x.png").write_bytes(huge_png(width, height))
        with pytest.raises(BadSample, match=r"x\.png: .* pixels, more than 50,000,000"):
            open_picture(tmp_path / "x.png", "x.png")


def test_broken_pictures_are_named(tmp_path):
    path = tmp_path / "x.png"
    for data in (b"just a text", b"", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        path.write_bytes(data)
        with pytest.raises(BadSample, match=r"^x\.png: "):
            open_picture(path, "x.png")
    with pytest.raises(BadSample, match="not found"):
        open_picture(tmp_path / "none.png", "none.png")


def test_no_mutant_raises_anything_else(tmp_path):
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (24, 24, 3)).astype(np.uint8)
    refused = []
    for name in ("x.png", "x.jpg", "x.tif", "x.webp", "x.bmp"):
        path = tmp_path / name
        Image.fromarray(noise).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(BadSample, match=name):
            open_picture(path, name)
        for _ in range(60):
            mutant = bytearray(data)
            for place in random.integers(0, min(len(data), 300), 4):
                mutant[place] = random.integers(0, 256)
            path.write_bytes(mutant)
            try:
                as_rgb(open_picture(path, name), name)
            except BadSample as fault:
                refused.append(str(fault))
    assert len(refused) > 100
    assert not any("\n" in line for line in refused)


def test_nearest_colour_equals_brute_force():
    random = np.random.default_rng(0)
    for count in (2, 12, 200):
        palette = [tuple(int(v) for v in colour) for colour in random.integers(0, 256, (count, 3))]
        picture = random.integers(0, 256, (17, 23, 3)).astype(np.uint8)
        squared = ((picture[:, :, None].astype(int) - np.array(palette)) ** 2).sum(-1)
        labels, distance = nearest_colour(picture, palette)
        np.testing.assert_array_equal(labels, squared.argmin(-1))
        assert distance == pytest.approx(np.sqrt(squared.min(-1)).mean())


def test_keys_never_merge_two_names():
    random = np.random.default_rng(0)
    letters = list("aAb.-_/ é\\0")
    for _ in range(300):
        names = sorted({"".join(random.choice(letters, random.integers(1, 5))) for _ in range(60)})
        keys = sample_keys(names)
        assert len({key.lower() for key in keys}) == len(names)
        assert all(key and set(key) <= set("abcdefABCDEF0123456789-_") for key in keys)
        order = random.permutation(len(names))
        assert sample_keys([names[i] for i in order]) == [keys[i] for i in order]


def test_keys_stay_plain_where_they_can():
    assert sample_keys(["train/1", "val/1", "a.b"]) == ["train_1", "val_1", "a_b"]
    clash = sample_keys(["a.b", "a/b", "c"])
    assert clash[2] == "c"
    assert clash[0].startswith("a_b-")
    assert clash[0] != clash[1]
    long = sample_keys(["x" * 300, "x" * 301])
    assert all(len(key) == 80 for key in long)
    with pytest.raises(ValueError, match="twice"):
        sample_keys(["a", "a"])
