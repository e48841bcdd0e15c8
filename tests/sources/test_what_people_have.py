"""What people put into a folder: taken, refused by name, or counted aloud; never wrong without a word."""

import io
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from components.faults import Fault
from components.samples.domain import Domain, sized
from components.samples.source import BadSample
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from components.sources.pictures import as_indices, as_rgb, open_picture
from components.storage.files import read_json, write_json
from tests.sources.test_folder import counts, labels, opened, photo, save

INDICES = {"layout": "folders", "direction": "AtoB", "b": {"name": "labels", "classes": ["x", "y", "z"]}}
PHOTOS = {"layout": "folders", "b": {"name": "map"}}


def write_pairs(root: Path, splits=("train", "val", "test"), count: int = 3) -> Path:
    """Pairs of photos, A/SPLIT/i.png and B/SPLIT/i.png, no two alike."""
    for number, split in enumerate(splits):
        for i in range(count):
            save(photo(100 * number + i), root / f"A/{split}/{i}.png")
            save(photo(100 * number + i + 50), root / f"B/{split}/{i}.png")
    return root


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.jpg", {"quality": 100}),
        ("x.png", {"format": "JPEG"}),  # by what it is, not by its ending
        ("x.webp", {"quality": 100}),
        ("x.jp2", {}),
        ("x.avif", {}),
        ("x.tif", {"compression": "jpeg"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_index_maps_in_formats_that_change_pixels_are_refused(tmp_path, name, options):
    if name.endswith(("jp2", "avif")) and not features.check({"jp2": "jpg_2000", "avif": "avif"}[name[2:]]):
        pytest.skip("this Pillow has no such decoder")
    values = Image.fromarray(labels(1))
    (values.convert("RGB") if name.endswith(("webp", "avif")) else values).save(tmp_path / name, **options)
    picture = open_picture(tmp_path / name, name)
    for part in (picture, picture.crop((0, 0, 8, 8))):  # side by side, a half is cut out first
        with pytest.raises(BadSample, match=rf"{name}: .*PNG.*palette"):
            as_indices(part, 3, name)
    assert as_rgb(picture, name).shape == (24, 24, 3)


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.tif", "x.gif", "x.tga", "x.pgm"])
def test_index_maps_in_formats_that_keep_pixels_are_read(tmp_path, name):
    Image.fromarray(labels(1)).save(tmp_path / name)
    assert np.array_equal(as_indices(open_picture(tmp_path / name, name), 3, name), labels(1))


def test_a_lossless_webp_is_known_as_one(tmp_path):
    Image.fromarray(labels(1)).convert("RGB").save(tmp_path / "x.webp", lossless=True)
    assert not [key for key in open_picture(tmp_path / "x.webp", "x").info if key.startswith("pix2pipe")]


def test_jpeg_label_maps_are_refused_through_the_stage(tmp_path):
    root = tmp_path / "mine"
    for i in range(6):
        save(photo(i), root / f"A/{i}.png")
        save(Image.fromarray(labels(i)), root / f"B/{i}.jpg")
    source = opened(root, **INDICES)
    with pytest.raises(BadSample, match=r"B/\d\.jpg: JPEG changes pixels"):
        source.read(source.splits["train"][0])


def test_every_ending_of_a_kind_that_is_read_is_taken(tmp_path):
    root = tmp_path / "mine"
    formats = {"jfif": "JPEG", "jpe": "JPEG", "dib": "BMP", "gif": "GIF", "ppm": "PPM", "tga": "TGA", "JPG": "JPEG"}
    for i, (ending, kind) in enumerate(formats.items()):
        for side, seed in (("A", i), ("B", i + 50)):
            place = root / side / f"{i}.{ending}"
            place.parent.mkdir(parents=True, exist_ok=True)
            photo(seed).save(place, format=kind)
    source = opened(root, **PHOTOS)
    assert sum(counts(source).values()) == len(formats)
    for units in source.splits.values():
        for unit in units:
            assert source.read(unit)["photo"].shape == (24, 24, 3)


@pytest.mark.parametrize("packed", [False, True])
def test_what_is_passed_over_is_counted_by_kind(tmp_path, packed, capfd):
    root = write_pairs(tmp_path / "mine")
    for name in ("notes.txt", "A/more.txt", "list.json", "LICENCE", ".hidden"):
        (root / name).write_text("x")
    save(photo(999), root / "preview.png")
    place = root
    if packed:
        place = tmp_path / "mine.tar"
        with tarfile.open(place, "w") as archive:
            archive.add(root, "mine")
    assert sum(counts(opened(place, **PHOTOS)).values()) == 9
    said = capfd.readouterr().err
    assert "passed over 1 .json, 2 .txt, 1 without an ending" in said
    assert "1 pictures lie outside" in said
    assert "preview.png" in said


@pytest.mark.parametrize("packed", [False, True])
def test_a_picture_of_a_kind_that_is_not_read_is_refused_by_name(tmp_path, packed):
    root = write_pairs(tmp_path / "mine")
    (root / "A/train/9.heic").write_bytes(b"x")
    place = root
    if packed:
        place = tmp_path / "mine.tar"
        with tarfile.open(place, "w") as archive:
            archive.add(root, "mine")
    with pytest.raises(Fault, match=r"9\.heic: pictures of this kind cannot be read; convert"):
        opened(place, **PHOTOS)


@pytest.mark.parametrize("held", ["val", "test"])
def test_the_same_pair_or_photo_in_two_splits_is_refused(tmp_path, held):
    root = write_pairs(tmp_path / "mine")
    shutil.copy(root / "A/train/1.png", root / f"A/{held}/0.png")
    with pytest.raises(Fault, match=rf"leak between splits: A/train/1\.png \(in train\) and A/{held}/0\.png"):
        opened(root, **PHOTOS)


def test_two_photos_of_one_label_map_are_no_leak_and_doubles_are_said(tmp_path, capfd):
    root = tmp_path / "mine"
    for number, split in enumerate(("train", "val", "test")):
        for i in range(3):
            save(photo(10 * number + i), root / f"A/{split}/{i}.png")
            save(Image.fromarray(labels(0)), root / f"B/{split}/{i}.png")
    assert counts(opened(root, **INDICES)) == {"train": 3, "val": 3, "test": 3}
    shutil.copy(root / "A/train/1.png", root / "A/train/0.png")
    opened(root, **INDICES)
    assert "1 pictures stand twice in a split, and count twice, such as A/train/1.png" in capfd.readouterr().err


def test_two_folders_are_not_poured_into_one_split_unless_params_say_so(tmp_path):
    root = write_pairs(tmp_path / "mine", ("train", "val", "test"))
    with pytest.raises(Fault, match=r"fetch\.splits: the folders test and val would together be the test split"):
        opened(root, **PHOTOS, splits={"val": "test"})
    assert counts(opened(root, **PHOTOS, splits={"val": "test", "test": "test"}))["test"] == 6


def test_a_label_outside_the_classes_in_a_shard_is_refused_by_every_reader(tmp_path):
    domains = {"labels": Domain(kind="label", classes=("a", "b", "c"), palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)))}
    pictures = [(f"s{i}", {"labels": np.full((8, 8), i, np.uint8)}) for i in range(3)]
    write_set(tmp_path / "set", "x", sized(domains, (8, 8)), Task(target="labels"), {"test": pictures})
    manifest = read_json(tmp_path / "set/manifest.json")
    manifest["domains"]["labels"]["classes"] = ["a", "b"]
    manifest["domains"]["labels"]["palette"] = [[0, 0, 0], [1, 1, 1]]
    manifest["totals"]["test"]["labels"].pop()
    write_json(tmp_path / "set/manifest.json", manifest)
    split = Split(tmp_path / "set", "test")
    assert split.picture(1, "labels").max() == 1
    for read in (split.read, lambda i: split.picture(i, "labels")):
        with pytest.raises(Fault, match=r"00000\.tar.*s2.*label 2 at row 0, column 0"):
            read(2)


def test_a_pipe_in_the_place_of_a_file_is_refused_and_nobody_waits(tmp_path, tiny_shards):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(BadSample, match=r"x\.png: is not a file"):
        open_picture(tmp_path / "x.png", "x.png")
    shards = shutil.copytree(tiny_shards, tmp_path / "shards")
    for name in ("train/00000.tar", "manifest.json"):
        place = next(shards.glob(name), None) or next(shards.rglob("*.tar"))
        place.unlink()
        os.mkfifo(place)
        with pytest.raises(Fault, match="not a file"):
            Split(shards, "train").read(0)


def test_bytes_in_memory_are_opened_as_files_are():
    stream = io.BytesIO()
    photo(1).save(stream, format="PNG")
    stream.seek(0)
    assert open_picture(stream, "x").size == (24, 24)
