"""Unpaired pictures: two sides of unequal number, each with splits of its own, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from components.faults import Fault
from components.samples.source import BadSample
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.manifest import Manifest
from components.shards.reader import open_side
from components.shards.verify import verify
from components.shards.writer import write_shards
from components.sources import CutConfig, FetchConfig, fetch, open_source
from components.storage.files import read_json, sha256_file


def photo(seed, width=24, height=24):
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def animals(tmp_path):
    """The CycleGAN layout: 21 and 11 train, 4 and 3 test, of two sizes and two formats."""
    for folder, count, first in (("trainA", 21, 0), ("trainB", 11, 100), ("testA", 4, 200), ("testB", 3, 300)):
        for i in range(count):
            size = (24, 24) if folder.endswith("A") else (40, 30)
            save(photo(first + i, *size), tmp_path / "mine/horse2zebra" / folder / f"n.{i}.{'jpg' if i % 2 else 'png'}")
    return tmp_path / "mine"


def config(**more):
    values = {"name": "folder", "layout": "unpaired", "a": {"name": "horse"}, "b": {"name": "zebra"}}
    return TypeAdapter(FetchConfig).validate_python(values | more)


def opened(tmp_path, cut=None, **more):
    fetch(
        config(**{key: str(value) if key == "path" else value for key, value in more.items()}),
        tmp_path / "raw",
        tmp_path / "cache",
    )
    return open_source(
        tmp_path / "raw", TypeAdapter(CutConfig).validate_python({"name": "folder", "image_size": 16} | (cut or {}))
    )


def counts(source):
    return {split: len(singles) for split, singles in source.splits.items()}


def test_two_sides_through_fetch_and_shard(animals, tmp_path):
    source = opened(tmp_path, path=animals, direction="BtoA")
    assert source.task == Task(source="zebra", target="horse")
    assert counts(source) == {
        "train/horse": 19,
        "train/zebra": 10,
        "val/horse": 2,
        "val/zebra": 1,
        "test/horse": 4,
        "test/zebra": 3,
    }
    manifest = write_shards(source, tmp_path / "shards", ShardConfig(samples_per_shard=8, num_workers=2))
    assert verify(tmp_path / "shards")[1] == []
    assert not manifest.aligned
    assert {split: manifest.count(split) for split in manifest.splits} == counts(source)
    seen = set()
    for split in ("train", "val", "test"):
        for name in ("horse", "zebra"):
            side = open_side(tmp_path / "shards", split, name)
            for i in range(len(side)):
                key, pictures = side.read(i)
                seen.add(key)
                assert {domain: picture.shape for domain, picture in pictures.items()} == {name: (16, 16, 3)}
    assert len(seen) == 39
    again = write_shards(
        opened(tmp_path, path=animals, direction="BtoA"), tmp_path / "again", ShardConfig(samples_per_shard=8)
    )
    assert again == manifest


def test_pictures_are_those_of_their_files(animals, tmp_path):
    source = opened(tmp_path, path=animals)
    single = next(single for single in source.splits["test/zebra"] if single.key == "testB_n_2")
    assert single.file == "horse2zebra/testB/n.2.png"
    expected = np.asarray(photo(302, 40, 30).crop((5, 0, 35, 30)).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(source.read(single)["zebra"], expected)
    stretched = opened(tmp_path, {"fit": "stretch"}, path=animals)
    expected = np.asarray(photo(302, 40, 30).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(stretched.read(single)["zebra"], expected)


def test_each_side_holds_out_of_its_own_train(animals, tmp_path):
    save(photo(900), animals / "horse2zebra/valA/x.png")
    source = opened(tmp_path, path=animals)
    assert counts(source)["val/horse"] == 1
    assert counts(source)["val/zebra"] == 1
    assert {single.file.split("/")[1] for single in source.splits["val/zebra"]} == {"trainB"}
    first = source.splits
    (animals / "horse2zebra/trainA/n.4.png").unlink()
    assert opened(tmp_path, path=animals).splits["val/zebra"] == first["val/zebra"]


def test_own_names_of_splits(animals, tmp_path):
    for side in "AB":
        (animals / f"horse2zebra/test{side}").rename(animals / f"horse2zebra/dev{side}")
    source = opened(tmp_path, path=animals, splits={"dev": "val"})
    assert counts(source)["val/horse"] == 4
    assert {single.file.split("/")[1] for single in source.splits["test/horse"]} == {"trainA"}
    with pytest.raises(Fault, match=r"fetch.splits: no pictures in a folder old; folders found: train"):
        opened(tmp_path, path=animals, splits={"old": "val"})


def test_two_sources_each_with_a_place_of_its_own(tmp_path):
    for i in range(12):
        save(photo(i, 30, 30), tmp_path / "summer" / "deep" / f"{i}.png")
    for split, count in (("training", 6), ("test", 2)):
        for i in range(count):
            save(photo(50 + 10 * count + i), tmp_path / "w" / "only" / split / f"{i}.png")
    save(photo(99), tmp_path / "w" / "only" / "stray.png")
    shutil.make_archive(str(tmp_path / "winter"), "zip", tmp_path / "w")
    archive = tmp_path / "winter.zip"
    sides = {
        "a": {"name": "summer", "path": str(tmp_path / "summer")},
        "b": {"name": "winter", "path": str(archive), "sha256": sha256_file(archive)},
    }
    source = opened(tmp_path, **sides)
    assert source.task == Task(source="summer", target="winter")
    assert counts(source) == {
        "train/summer": 10,
        "train/winter": 5,
        "val/summer": 1,
        "val/winter": 1,
        "test/summer": 1,
        "test/winter": 2,
    }
    assert source.splits["test/winter"][0].key == "winter_test_0"
    picture = source.read(source.splits["test/winter"][0])["winter"]
    np.testing.assert_array_equal(picture, np.asarray(photo(70).resize((16, 16), Image.Resampling.BICUBIC)))
    about = read_json(tmp_path / "raw/folder/source.json")
    assert about["origin"] == "summer and winter.zip"
    assert about["archive_sha256"] == [None, sha256_file(archive)]
    assert str(tmp_path) not in (tmp_path / "raw/folder/source.json").read_text()
    sides["b"]["sha256"] = "0" * 64
    with pytest.raises(Fault, match=r"its sha256 is .*, fetch\.b\.sha256 says 000"):
        opened(tmp_path, **sides)
    sides["b"] = {"name": "winter", "path": str(tmp_path / "nowhere")}
    with pytest.raises(Fault, match=r"fetch\.b\.path: .*nowhere is neither a folder nor a file"):
        opened(tmp_path, **sides)
    (tmp_path / "empty").mkdir()
    sides["b"]["path"] = str(tmp_path / "empty")
    with pytest.raises(Fault, match=r"empty: holds no pictures"):
        opened(tmp_path, **sides)


def test_one_place_for_both_sides_is_not_the_place_of_one(animals, tmp_path):
    save(photo(1), tmp_path / "z" / "1.png")
    sides = {"a": {"name": "horse", "path": str(animals)}, "b": {"name": "zebra", "path": str(tmp_path / "z")}}
    with pytest.raises(Fault, match="the path of horse holds trainA and trainB"):
        opened(tmp_path, **sides)


def test_an_empty_side_is_named(animals, tmp_path):
    for folder in ("trainB", "testB"):
        shutil.rmtree(animals / "horse2zebra" / folder)
    with pytest.raises(Fault, match=r"unpaired: zebra is empty: no pictures in trainB/; folders found: testA, trainA"):
        opened(tmp_path, path=animals)
    save(photo(5), animals / "horse2zebra/testB/0.png")
    with pytest.raises(Fault, match="the train/zebra split is empty"):
        opened(tmp_path, path=animals)


def test_layouts_that_are_exchanged(animals, tmp_path):
    for layout in ("side_by_side", "folders"):
        with pytest.raises(
            Fault, match=rf"fetch.layout: {layout} wants pairs, and testA, testB, trainA, trainB hold unp"
        ):
            opened(tmp_path, path=animals, layout=layout)
    save(photo(0), tmp_path / "pairs/train/0.jpg")
    save(photo(0), tmp_path / "pairs/val/0.jpg")
    with pytest.raises(
        Fault, match=r"no trainA/ and trainB/; folders found: train, val; pairs want layout side_by_side"
    ):
        opened(tmp_path, path=tmp_path / "pairs")


SHARED = (
    ("trainA/n.1.jpg", "trainB/other.jpg", r"trainA/n\.1\.jpg \(in train/horse\) and .*trainB/other\.jpg \(in train/z"),
    ("trainA/n.2.png", "testB/n.2.png", "the sides horse and zebra share pictures"),
    ("trainB/n.1.jpg", "testB/n.1.jpg", r"leak between splits: .*trainB/n\.1\.jpg .* are the same file; keep"),
)


@pytest.mark.parametrize(("there", "also", "said"), SHARED)
def test_shared_pictures_are_refused(animals, tmp_path, there, also, said):
    folder = animals / "horse2zebra"
    shutil.copy(folder / there, folder / also)
    with pytest.raises(Fault, match=said):
        opened(tmp_path, path=animals)


def test_a_double_that_would_be_held_out_is_refused_and_one_that_stays_is_not(animals, tmp_path):
    folder = animals / "horse2zebra"
    held = opened(tmp_path, path=animals).splits["val/zebra"][0].file
    double = shutil.copy(animals / held, folder / "trainB/zz.png")
    with pytest.raises(Fault, match=r"leak between splits: .*\(in train/zebra\) and .*\(in val/zebra\)"):
        opened(tmp_path, path=animals)
    shutil.copy(folder / "trainB/n.1.jpg", double)
    source = opened(tmp_path, path=animals)
    assert sum(len(source.splits[f"{split}/zebra"]) for split in ("train", "val")) == 12


def test_a_side_of_labels(tmp_path):
    colours = np.array([[0, 0, 222], [255, 80, 0]], np.uint8)
    masks = [
        np.random.default_rng(i).integers(0, 2, (2, 2)).astype(np.uint8).repeat(8, 0).repeat(8, 1) for i in range(40)
    ]
    masks = [mask for i, mask in enumerate(masks) if not any((mask == other).all() for other in masks[:i])]
    for i, mask in enumerate(masks):
        save(Image.fromarray(colours[mask]), tmp_path / "mine/trainA" / f"{i:02d}.png")
        save(photo(i), tmp_path / "mine/trainB" / f"{i:02d}.png")
    palette = {"wall": [0, 0, 222], "door": [255, 80, 0]}
    source = opened(tmp_path, path=tmp_path / "mine", a={"name": "labels", "palette": palette}, b={"name": "photo"})
    write_shards(source, tmp_path / "shards", ShardConfig(num_workers=1))
    manifest = Manifest.read(tmp_path / "shards")
    assert list(manifest.totals["train/labels"]) == ["labels"]
    assert manifest.totals["train/photo"] == {}
    side = open_side(tmp_path / "shards", "train", "labels")
    for i in range(len(side)):
        key, pictures = side.read(i)
        np.testing.assert_array_equal(pictures["labels"], masks[int(key[-2:])])


def test_a_broken_picture_is_named_with_its_side(animals, tmp_path):
    (animals / "horse2zebra/testB/n.0.png").write_text("not a picture")
    source = opened(tmp_path, path=animals)
    with pytest.raises(BadSample, match=r"horse2zebra/testB/n.0.png: not a PNG"):
        source.read(next(single for single in source.splits["test/zebra"] if single.key == "testB_n_0"))
    manifest = write_shards(source, tmp_path / "shards", ShardConfig(max_bad=1, num_workers=1))
    assert [(bad.split, bad.key) for bad in manifest.bad] == [("test/zebra", "testB_n_0")]


def test_configs_that_cannot_be():
    two = {"a": {"name": "x", "path": "p"}, "b": {"name": "y", "path": "q"}}
    for more, said in (
        ({}, "give path; or, with layout unpaired, a.path and b.path"),
        (two | {"path": "x"}, "give path; or, with layout unpaired"),
        ({"a": two["a"]}, "give path; or, with layout unpaired"),
        (two | {"layout": "folders"}, "a.path and b.path are for layout unpaired"),
        (two | {"b": {"name": "y", "path": "https://x.org/a.zip"}}, "URL needs sha256"),
    ):
        with pytest.raises(ValidationError, match=said):
            config(**more)
    assert [origin.folder for origin in config(**two).origins] == ["x", "y"]
