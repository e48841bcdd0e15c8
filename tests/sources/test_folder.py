"""One's own pictures: layouts, splits, sizes, and what is refused."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from components.faults import Fault
from components.samples.source import BadSample
from components.shards.config import ShardConfig
from components.shards.reader import Split
from components.shards.writer import write_shards
from components.sources import CutConfig, FetchConfig, fetch, open_source
from tests.conftest import TO_LABELS, TO_PHOTO

PALETTE = {"wall": [0, 0, 222], "window": [0, 128, 255], "door": [255, 80, 0]}
COLOURS = np.array(list(PALETTE.values()), np.uint8)


def photo(seed, width=24, height=24):
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def labels(seed, side=24):
    coarse = np.random.default_rng(seed + 500).integers(0, 3, (3, 3)).astype(np.uint8)
    return coarse.repeat(side // 3, 0).repeat(side // 3, 1)


def side_by_side(seed):
    both = Image.new("RGB", (48, 24))
    both.paste(photo(seed), (0, 0))
    both.paste(Image.fromarray(COLOURS[labels(seed)]), (24, 0))
    return both


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def facades(tmp_path):
    """The pix2pix layout: 20 train, 4 val."""
    for split, count in (("train", 20), ("val", 4)):
        for i in range(count):
            save(side_by_side(i + 100 * (split == "val")), tmp_path / "mine" / split / f"{i}.jpg")
    return tmp_path / "mine"


def config(path, **more):
    """A config of side by side pictures, with `more` over it."""
    values = {"name": "folder", "path": str(path), "direction": "BtoA", "a": {"name": "photo"}}
    values["b"] = {"name": "labels", "palette": PALETTE}
    return TypeAdapter(FetchConfig).validate_python(values | more)


def opened(path, cut=None, **more):
    raw = path.parent / "raw"
    fetch(config(path, **more), raw, path.parent / "cache")
    return open_source(raw, TypeAdapter(CutConfig).validate_python({"name": "folder", "image_size": 24} | (cut or {})))


def counts(source):
    return {split: len(pairs) for split, pairs in source.splits.items()}


def test_side_by_side_through_fetch_and_shard(facades, tmp_path):
    source = opened(facades)
    assert source.task == TO_PHOTO
    assert counts(source) == {"train": 18, "val": 4, "test": 2}
    write_shards(source, tmp_path / "shards", ShardConfig(num_workers=2))
    split = Split(tmp_path / "shards", "train")
    assert split.domains["labels"].classes == ("wall", "window", "door")
    for i in range(len(split)):
        key, pictures = split.read(i)
        assert key.startswith("train_")
        seed = int(key.split("_")[1])
        assert (pictures["labels"] != labels(seed)).mean() < 0.05
        assert np.abs(pictures["photo"].astype(int) - np.asarray(photo(seed))).mean() < 12


def test_held_out_splits_depend_on_the_keys_alone(facades):
    first = opened(facades).splits
    assert first == opened(facades).splits
    keys = [pair.key for pairs in first.values() for pair in pairs]
    assert len(set(keys)) == 24
    mapped = opened(facades, splits={"val": "test"}, holdout=0.2)
    assert counts(mapped) == {"train": 16, "val": 4, "test": 4}
    assert all(pair.key.startswith("val_") for pair in mapped.splits["test"])
    with pytest.raises(Fault, match=r"fetch.splits: no pictures in a folder dev; folders found: train, val"):
        opened(facades, splits={"dev": "test"})


def test_without_split_folders_all_is_train(tmp_path):
    for i in range(10):
        save(side_by_side(i), tmp_path / "mine" / "deep" / "er" / f"x.{i}.png")
    source = opened(tmp_path / "mine")
    assert counts(source) == {"train": 8, "val": 1, "test": 1}
    assert source.splits["train"][0].key == "x_0"


@pytest.mark.parametrize("pattern", ["{side}/{split}/{i}", "{split}/{side}/{i}", "only/{side}/{split}/{i}"])
def test_folders(tmp_path, pattern):
    for split in ("train", "val", "test"):
        for i in range(3):
            place = {"split": split, "i": i}
            save(
                photo(i + 10 * ("train", "val", "test").index(split)),
                tmp_path / "mine" / f"{pattern.format(side='A', **place)}.jpg",
            )
            save(Image.fromarray(labels(i)), tmp_path / "mine" / f"{pattern.format(side='B', **place)}.png")
    source = opened(
        tmp_path / "mine", layout="folders", direction="AtoB", b={"name": "labels", "classes": ["x", "y", "z"]}
    )
    assert counts(source) == {"train": 3, "val": 3, "test": 3}
    assert source.task == TO_LABELS
    pair = source.splits["val"][2]
    assert pair.key == "val_2"
    np.testing.assert_array_equal(source.read(pair)["labels"], labels(2))


def test_own_folder_names_and_missing_partner(tmp_path):
    for i in range(6):
        save(photo(i), tmp_path / "mine" / "images" / f"{i}.png")
        save(photo(i), tmp_path / "mine" / "maps" / f"{i}.jpg")
    (tmp_path / "mine" / "maps" / "3.jpg").unlink()
    sides = {"a": {"name": "photo", "folder": "images"}, "b": {"name": "map", "folder": "maps"}}
    source = opened(tmp_path / "mine", layout="folders", **sides)
    pair = next(pair for pairs in source.splits.values() for pair in pairs if pair.key == "3")
    with pytest.raises(BadSample, match=r"^images/3\.png: has no partner of that name in maps"):
        source.read(pair)


def test_layout_that_is_not_there(facades, tmp_path):
    with pytest.raises(Fault, match=r"no pictures in A/ and B/ \(layout folders\); folders found: train, val"):
        opened(facades, layout="folders")
    save(photo(0), tmp_path / "other" / "trainA" / "0.png")
    save(photo(0), tmp_path / "other" / "trainB" / "9.png")
    with pytest.raises(Fault, match="trainA, trainB hold unpaired pictures; make the layout unpaired"):
        opened(tmp_path / "other")


def one_bad(facades, image, name="0.jpg", **more):
    """Replace a training picture and read it."""
    save(image, facades / "train" / name)
    source = opened(facades, **more)
    pair = next(pair for pairs in source.splits.values() for pair in pairs if pair.a == f"train/{name}")
    return source.read(pair)


def test_pairs_of_unequal_sizes(facades, tmp_path):
    with pytest.raises(BadSample, match=r"train/0\.jpg: 47 pixels wide"):
        one_bad(facades, photo(0, 47, 24))
    for i in range(3):
        save(photo(i), tmp_path / "two" / "A" / f"{i}.png")
        save(photo(i, 24, 30), tmp_path / "two" / "B" / f"{i}.png")
    source = opened(tmp_path / "two", layout="folders", b={"name": "map"})
    with pytest.raises(
        BadSample, match=r"A/\d.png, B/\d.png: the pictures of this pair differ in size, 24x24 and 24x30"
    ):
        source.read(source.splits["train"][0])


def test_exchanged_sides_are_noticed(facades):
    sides = {"a": {"name": "labels", "palette": PALETTE}, "b": {"name": "photo"}}
    source = opened(facades, cut={"tolerance": 40}, **sides)
    with pytest.raises(BadSample, match=r"off its palette on average, .* are A and B exchanged"):
        source.read(source.splits["train"][0])


def test_text_named_png_is_bad_and_the_rest_goes_on(facades, tmp_path, capsys):
    (facades / "train" / "notes.png").write_text("not a picture")
    source = opened(facades)
    with pytest.raises(Fault, match=r"1 bad samples, .* train/notes.png: not a PNG"):
        write_shards(source, tmp_path / "shards", ShardConfig(num_workers=1))
    manifest = write_shards(source, tmp_path / "shards", ShardConfig(max_bad=1, num_workers=1))
    assert [entry.key for entry in manifest.bad] == ["train_notes"]
    assert str(tmp_path) not in (tmp_path / "shards" / "manifest.json").read_text()


def test_fit_of_pictures_that_are_not_square(facades):
    wide = Image.new("RGB", (120, 20), (0, 0, 222))  # two halves of 60x20, the middle third of A red
    wide.paste((255, 0, 0), (20, 0, 40, 20))
    name = "0.png"
    (facades / "train" / "0.jpg").unlink()
    cropped = one_bad(facades, wide, name, cut={"image_size": 30, "fit": "crop"})
    assert cropped["photo"].shape == (30, 30, 3)
    assert (cropped["photo"] == [255, 0, 0]).all()
    stretched = one_bad(facades, wide, name, cut={"image_size": 30, "fit": "stretch"})
    assert stretched["photo"][15, [3, 15, 27]].tolist() == [[0, 0, 222], [255, 0, 0], [0, 0, 222]]
    assert stretched["labels"].shape == (30, 30)


@pytest.mark.parametrize(("fit", "reds"), [("crop", 14), ("stretch", 10)])
def test_a_sample_that_is_not_square(facades, fit, reds):
    wide = Image.new("RGB", (120, 20), (0, 0, 222))  # A is 60x20, its middle third red; the crop to 2:1 is 40x20
    wide.paste((255, 0, 0), (20, 0, 40, 20))
    (facades / "train" / "0.jpg").unlink()
    pictures = one_bad(facades, wide, "0.png", cut={"image_size": [15, 30], "fit": fit})
    assert pictures["photo"].shape == (15, 30, 3)
    assert pictures["labels"].shape == (15, 30)
    assert int((pictures["photo"][7, :, 0] > 200).sum()) == reds
    for size in (0, [15], [15, 30, 3], [15, -1], "15", True, 10**9):
        with pytest.raises(ValidationError, match="height, width"):
            TypeAdapter(CutConfig).validate_python({"name": "folder", "image_size": size})


def test_same_name_but_for_the_ending_stays_two(facades):
    save(side_by_side(77), facades / "train" / "0.png")
    keys = [pair.key for pairs in opened(facades).splits.values() for pair in pairs]
    assert {"train_0_jpg", "train_0_png"} < set(keys)


def test_configs_that_cannot_be():
    for more, said in (
        ({"a": {"name": "labels"}}, "both named labels"),
        ({"path": "https://x.org/a.zip"}, "URL needs sha256"),
        ({"b": {"name": "l", "palette": PALETTE, "classes": ["a", "b"]}}, "not both"),
        ({"b": {"name": "l", "classes": ["a"]}}, "2 to 255 classes"),
        ({"a": {"name": "a.b"}}, "pattern"),
    ):
        with pytest.raises(ValidationError, match=said):
            TypeAdapter(FetchConfig).validate_python(config("x").model_dump() | more)


def test_nothing_there(tmp_path):
    with pytest.raises(Fault, match=r"fetch.path: .*none is neither a folder nor a file"):
        opened(tmp_path / "none")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("x")
    with pytest.raises(Fault, match="holds no pictures"):
        opened(tmp_path / "mine")
    assert not list((tmp_path / "raw").iterdir())


def test_params_of_another_source(facades):
    opened(facades)
    with pytest.raises(Fault, match=r"shard.cut.name is earth, but fetch.name was folder"):
        open_source(facades.parent / "raw", TypeAdapter(CutConfig).validate_python({"name": "earth"}))


def test_a_second_fetch_replaces_the_first(facades):
    opened(facades)
    shutil.rmtree(facades / "val")
    assert counts(opened(facades)) == {"train": 16, "val": 2, "test": 2}


@pytest.mark.parametrize("strange", [False, True])
def test_raw_pictures_that_are_not_those_of_fetch_are_refused_by_name(facades, strange):
    opened(facades)
    raw = facades.parent / "raw"
    picture = sorted((raw / "folder").rglob("*.jpg"))[0]
    data = picture.read_bytes()
    picture.unlink()
    if strange:
        picture.mkdir()
        (picture / "x.jpg").write_bytes(data)
    with pytest.raises(Fault, match=re.escape(picture.name)):
        open_source(raw, TypeAdapter(CutConfig).validate_python({"name": "folder", "image_size": 24}))
