"""Pictures beside a table of their attributes, up to what networks see."""

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from components.faults import Fault
from components.samples.domain import Domain
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.damage import broken_member, find_damage
from components.shards.reader import Split
from components.shards.tar import encode as encode_sample
from components.shards.verify import verify
from components.shards.writer import write_shards
from components.sources.fit import FolderCut
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder
from components.tasks.encoding import decode, encode
from components.training.jitter import AugmentConfig, jitter

B = {"name": "traits", "classes": ["old", "hat"]}
TRAITS = Domain(kind="attributes", classes=("old", "hat"))


def put(root, rows, files=None, header="picture,hat,young,old"):
    """Pictures of the greys 0, 1 and so on, and the table of them."""
    for number, file in enumerate(files or [row.split(",")[0] for row in rows]):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(root / file)
    (root / "attributes.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return root


def opened(tmp_path, path, **changes):
    values = {"name": "folder", "path": str(path), "layout": "attributes", "a": {"name": "photo"}, "b": B} | changes
    fetch_folder(FolderConfig.model_validate(values), tmp_path / "raw", tmp_path / "cache")
    return open_folder(tmp_path / "raw", FolderCut(name="folder", image_size=8))


def test_each_picture_has_the_columns_that_params_name_in_their_order(tmp_path):
    rows = [f"{split}/deep/{i}.png,{i % 2},5,{i // 2}" for split in ("train", "val", "test") for i in range(4)]
    source = opened(tmp_path, put(tmp_path / "in", rows))
    assert source.task == Task(target="photo", condition="traits")
    assert source.domains["traits"] == TRAITS
    manifest = write_shards(source, tmp_path / "shards", ShardConfig(samples_per_shard=2))
    assert manifest.totals["test"] == {"traits": (2, 2)}
    assert verify(tmp_path / "shards")[1] == []
    split = Split(tmp_path / "shards", "test")
    assert [split.read(i)[1]["traits"].tolist() for i in range(4)] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert [int(split.read(i)[1]["photo"].mean()) for i in range(4)] == [8, 9, 10, 11]
    assert split.png(3, "traits") == b"[1, 1]"
    np.testing.assert_array_equal(split.histograms("traits"), [[0, 0], [0, 1], [1, 0], [1, 1]])


def test_val_and_test_are_held_out_and_a_table_may_lie_in_an_archive_or_have_a_byte_order_mark(tmp_path):
    rows = [f"{i}.png,{i % 2},0,1" for i in range(20)]
    root = put(tmp_path / "in/faces", rows, header="\ufefffile,hat,young,old")
    (root / "other.csv").write_text("x")
    source = opened(tmp_path, tmp_path / "in")
    assert {split: len(ones) for split, ones in source.splits.items()} == {"train": 16, "val": 2, "test": 2}
    assert source.read(source.splits["train"][0])["traits"].tolist()[0] == 1


@pytest.mark.parametrize(
    ("rows", "files", "said"),
    [
        (["1.png,0,0,1", "2.png,0,0,1"], ["1.png"], r"attributes\.csv, line 3: there is no picture '2\.png'"),
        (["1.png,0,0,1", "1.png,0,0,1"], ["1.png"], r"line 3: 1\.png has a row before"),
        (["1.png,0,0,-1"], ["1.png"], r"line 2: old of 1\.png is '-1', neither 0 nor 1"),
        (["1.png,,0,1"], ["1.png"], r"line 2: hat of 1\.png is '', neither 0 nor 1"),
        (["1.png,0,0,1"], ["1.png", "a/2.png"], r"attributes\.csv: a/2\.png has no row; add one"),
        (["1.png,0,0,1"], ["1.png", "a.png", "b.png"], r"attributes\.csv: a\.png has no row, nor have 1 more"),
        (["1.png,0,0"], ["1.png"], "line 2: has 3 columns, and the first line 4"),
        (['1.png,"0,0,1'], ["1.png"], r"attributes\.csv: is no table in UTF-8 with commas"),
        (["1.png,0,0,1"], ["1.png"], "the val split is empty"),
    ],
)
def test_a_table_that_does_not_fit_the_pictures_is_refused_in_one_line(tmp_path, rows, files, said):
    with pytest.raises(Fault, match=said) as refused:
        opened(tmp_path, put(tmp_path / "in", rows, files))
    assert "\n" not in str(refused.value)


def test_a_missing_table_or_column_and_a_picture_beside_the_folder_are_refused(tmp_path):
    root = put(tmp_path / "in", ["1.png,0,0,1"])
    with pytest.raises(
        Fault, match=r"the attribute beard of fetch\.b\.classes is not in its first line, 'picture, hat"
    ):
        opened(tmp_path, root, b=B | {"classes": ["hat", "beard"]})
    (root / "attributes.csv").rename(root / "list.csv")
    with pytest.raises(Fault, match=r"fetch\.layout: attributes wants one attributes\.csv beside the pictures"):
        opened(tmp_path, root)
    put(root / "deep", ["1.png,0,0,1"])
    with pytest.raises(Fault, match=r"1\.png: lies outside of the folder of deep/attributes\.csv"):
        opened(tmp_path, root)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b": {"name": "traits"}}, "layout attributes has a column for each attribute; name two or more in b.classes"),
        ({"a": {"name": "photo", "classes": ["x", "y"]}}, "with layout attributes a is photos"),
        ({"a": {"name": "traits"}}, "a and b are both named traits"),
    ],
)
def test_params_that_cannot_be_meant_are_refused(change, said):
    values = {"name": "folder", "path": "/in", "layout": "attributes", "a": {"name": "photo"}, "b": B} | change
    with pytest.raises(ValidationError, match=said):
        FolderConfig.model_validate(values)


def test_networks_see_them_as_floats_and_nothing_else_changes_them():
    held = np.array([[0, 1], [1, 1], [0, 0]], np.uint8)
    seen = encode(TRAITS, held)
    assert seen.dtype == torch.float32
    torch.testing.assert_close(seen, torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(decode(TRAITS, seen * 0.8 + 0.1), held)
    flipped = jitter(torch.from_numpy(held), TRAITS, AugmentConfig(resize=None), torch.arange(3))
    np.testing.assert_array_equal(flipped.numpy(), held)
    with pytest.raises(Fault, match="attribute hat is neither 0 nor 1"):
        encode(TRAITS, np.array([[0, 1], [1, 2]], np.uint8))


def test_what_is_no_list_of_attributes_is_damage():
    member = encode_sample("k", {"traits": np.array([1, 0], np.uint8)}, {"traits": TRAITS}).members[0]
    assert (member.extension, member.data, member.histogram) == ("json", b"[1, 0]", [1, 0])
    assert broken_member("k.traits.json", member.data) is None
    for broken in (b"[1, 2]", b"[1 0]", b"[1, 0", b"[]", b""):
        assert broken_member("k.traits.json", broken) == (0, len(broken))
    with pytest.raises(Fault, match="traits is uint8"):
        encode_sample("k", {"traits": np.array([1], np.uint8)}, {"traits": TRAITS})


def test_the_place_of_damage_in_a_shard_is_the_list(tmp_path):
    rows = [f"{i}.png,1,0,1" for i in range(8)]
    write_shards(opened(tmp_path, put(tmp_path / "in", rows)), tmp_path / "shards", ShardConfig())
    tar = bytearray((tmp_path / "shards/train/00000.tar").read_bytes())
    assert find_damage(bytes(tar)) is None
    place = tar.index(b"[1, 1]")
    tar[place + 1] = ord("7")
    damage = find_damage(bytes(tar))
    assert (damage.start, damage.stop) == (place, place + 6)
    assert damage.what.endswith(".traits.json")
