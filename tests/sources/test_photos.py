"""Photos alone: every picture a sample, splits found or held out, the other domain derived, and what is refused."""

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
from components.shards.reader import Split
from components.shards.verify import verify
from components.shards.writer import write_shards
from components.sources import CutConfig, FetchConfig, fetch, open_source
from components.tasks.derive import EdgesConfig, GreyConfig
from components.tasks.derived import derive, derived


def photo(seed, width=24, height=24):
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 3, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def album(tmp_path):
    """Twelve photos of unequal sizes at several depths, no split folders."""
    for i in range(12):
        place = ("", "lake", "lake/deep")[i % 3]
        save(photo(i, 24 + i, 30), tmp_path / "mine/album" / place / f"p.{i}.{'jpg' if i % 2 else 'png'}")
    return tmp_path / "mine"


def config(path="p", **more):
    values = {"name": "folder", "path": str(path), "layout": "photos", "a": {"name": "photo"}}
    return TypeAdapter(FetchConfig).validate_python(values | more)


def opened(tmp_path, path, cut=None, **more):
    fetch(config(path, **more), tmp_path / "raw", tmp_path / "cache")
    return open_source(
        tmp_path / "raw", TypeAdapter(CutConfig).validate_python({"name": "folder", "image_size": 16} | (cut or {}))
    )


def files(source):
    return {split: [single.file for single in singles] for split, singles in source.splits.items()}


def counts(source):
    return {split: len(singles) for split, singles in source.splits.items()}


def test_photos_through_fetch_and_shard_with_their_edges(album, tmp_path):
    source = opened(tmp_path, album)
    assert list(source.domains) == ["photo"]
    assert counts(source) == {"train": 10, "val": 1, "test": 1}
    found = [file for names in files(source).values() for file in names]
    there = {path.relative_to(album).as_posix() for path in album.rglob("*.*g")}
    assert len(found) == len(set(found)) == 12
    assert set(found) == there
    edges = EdgesConfig(of="photo")
    made = derived(source, {"edges": edges}, Task(source="edges", target="photo"))
    manifest = write_shards(made, tmp_path / "s", ShardConfig(samples_per_shard=4, num_workers=2))
    assert verify(tmp_path / "s")[1] == []
    assert manifest.aligned
    assert manifest.task == Task(source="edges", target="photo")
    assert list(manifest.domains) == ["photo", "edges"]
    by_key = {single.key: single for singles in source.splits.values() for single in singles}
    split = Split(tmp_path / "s", "train")
    for i in range(len(split)):
        key, pictures = split.read(i)
        assert sorted(pictures) == ["edges", "photo"]
        np.testing.assert_array_equal(pictures["photo"], source.read(by_key[key])["photo"])
        np.testing.assert_array_equal(pictures["edges"], derive(edges, pictures["photo"], key))
    assert write_shards(made, tmp_path / "again", ShardConfig(samples_per_shard=4, num_workers=1)) == manifest
    assert Manifest.read(tmp_path / "s").sha256 == manifest.sha256


def test_a_photo_is_that_of_its_file(album, tmp_path):
    source = opened(tmp_path, album, {"fit": "stretch"})
    single = next(single for singles in source.splits.values() for single in singles if single.key == "lake_p_10")
    assert single.file == "album/lake/p.10.png"
    expected = np.asarray(photo(10, 34, 30).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(source.read(single)["photo"], expected)


def test_the_name_is_a_unless_given(album, tmp_path):
    source = opened(tmp_path, album, a={"name": "a"})
    assert list(source.domains) == ["a"]
    assert TypeAdapter(FetchConfig).validate_python({"name": "folder", "path": "p", "layout": "photos"}).a.name == "a"
    assert [side.name for side in config(a={"name": "b"}).sides] == ["b"]


def test_split_folders_are_found_and_the_rest_is_held_out(album, tmp_path):
    for i in range(3):
        save(photo(50 + i), tmp_path / "ours/training/x" / f"{i}.png")
        save(photo(60 + i), tmp_path / "ours/test" / f"{i}.png")
    save(photo(70), tmp_path / "ours/stray.png")
    source = opened(tmp_path, tmp_path / "ours")
    assert counts(source) == {"train": 2, "val": 1, "test": 3}
    assert files(source)["test"] == ["test/0.png", "test/1.png", "test/2.png"]
    assert {name.split("/")[0] for split in ("train", "val") for name in files(source)[split]} == {"training"}
    (tmp_path / "ours/test").rename(tmp_path / "ours/dev")
    mapped = opened(tmp_path, tmp_path / "ours", splits={"dev": "val"})
    assert files(mapped)["val"] == ["dev/0.png", "dev/1.png", "dev/2.png"]
    with pytest.raises(Fault, match=r"fetch.splits: no pictures in a folder old; folders found: dev, training"):
        opened(tmp_path, tmp_path / "ours", splits={"old": "val"})


def test_a_file_called_as_a_split_is_no_folder(tmp_path):
    for i, name in enumerate(("test", "val", "1", "2", "3", "4")):
        save(photo(i), tmp_path / "mine" / f"{name}.png")
    first = opened(tmp_path, tmp_path / "mine")
    assert counts(first) == {"train": 4, "val": 1, "test": 1}
    both = [(tmp_path / "pairs/A", 0), (tmp_path / "pairs/B", 10)]
    for folder, seed in both:
        for i, name in enumerate(("test", "val", "1", "2", "3", "4")):
            save(photo(seed + i), folder / f"{name}.png")
    pairs = opened(tmp_path, tmp_path / "pairs", layout="folders", b={"name": "map"})
    assert {split: [pair.key for pair in found] for split, found in pairs.splits.items()} == {
        split: [single.key for single in found] for split, found in first.splits.items()
    }


def test_the_same_photo_in_two_splits_is_refused(album, tmp_path):
    for i in range(4):
        save(photo(80 + i), tmp_path / "ours/train" / f"{i}.png")
        save(photo(90 + i), tmp_path / "ours/test" / f"{i}.png")
    shutil.copy(tmp_path / "ours/train/2.png", tmp_path / "ours/test/other.png")
    with pytest.raises(
        Fault,
        match=r"leak between splits: train/2.png \(in \w+\) and test/other.png \(in test\) are the same file; keep",
    ) as fault:
        opened(tmp_path, tmp_path / "ours")
    assert "\n" not in str(fault.value)
    (tmp_path / "ours/test/other.png").unlink()
    assert counts(opened(tmp_path, tmp_path / "ours"))["test"] == 4


def test_two_sides_are_not_taken_for_one(tmp_path):
    for folder, first in (("trainA", 0), ("trainB", 10), ("testA", 20)):
        for i in range(4):
            save(photo(first + i), tmp_path / "mine" / folder / f"{i}.png")
    with pytest.raises(Fault, match=r"photos has one side, but testA, trainA, trainB hold two; make the layout unp"):
        opened(tmp_path, tmp_path / "mine")
    named = {"trainA": "train", "trainB": "train", "testA": "test"}
    assert counts(opened(tmp_path, tmp_path / "mine", splits=named)) == {"train": 7, "val": 1, "test": 4}


def test_a_broken_photo_is_named_and_too_few_are_refused(album, tmp_path):
    (album / "album/lake/broken.png").write_text("not a picture")
    source = opened(tmp_path, album, holdout=0.05)
    single = next(one for ones in source.splits.values() for one in ones if one.key == "lake_broken")
    with pytest.raises(BadSample, match=r"^album/lake/broken.png: not a PNG"):
        source.read(single)
    save(photo(0), tmp_path / "one/1.png")
    with pytest.raises(Fault, match=r"folder: the val split is empty; .* give more training pictures"):
        opened(tmp_path, tmp_path / "one")


def test_photos_alone_are_made_from_noise_unless_something_is_derived(album, tmp_path):
    source = opened(tmp_path, album)
    assert derived(source, {}).task == Task(target="photo")
    made = derived(source, {"grey": GreyConfig(of="photo")}, Task(source="grey", target="photo"))
    assert made.task.name == "grey_to_photo"
    with pytest.raises(Fault, match=r"shard\.task: grey: no such domain; there are photo"):
        derived(source, {}, Task(source="grey", target="photo"))


PALETTE = {"wall": [0, 0, 222], "window": [0, 128, 255]}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"b": {"name": "map"}}, "layout photos has one side, a, but b is given"),
        ({"b": {"name": "b", "palette": PALETTE}}, "layout photos has one side, a, but b is given"),
        ({"a": {"name": "labels", "palette": PALETTE}}, r"a\.palette makes a label map"),
        ({"a": {"name": "labels", "classes": ["x", "y"]}}, r"a\.classes makes a label map"),
        ({"direction": "BtoA"}, "name both domains in shard.task"),
        ({"path": "", "a": {"name": "photo", "path": "x"}}, r"a\.path and b\.path are for layout unpaired"),
        ({"path": "https://example.org/a.zip"}, "a URL needs sha256"),
    ],
)
def test_configs_that_cannot_be(more, said):
    with pytest.raises(ValidationError, match=said):
        config(**more)
