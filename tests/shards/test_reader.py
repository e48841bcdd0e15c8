"""The reader and the verifier: what is broken is named."""

import json
import pickle
import shutil

import numpy as np
import pytest

from components.faults import Fault
from components.shards.index import check_file
from components.shards.reader import Split
from components.shards.verify import verify
from tests.conftest import tiny_sample


@pytest.fixture
def copy(tiny_shards, tmp_path):
    return shutil.copytree(tiny_shards, tmp_path / "shards")


def test_whole_set_verifies(tiny_shards):
    whole, faults = verify(tiny_shards)
    assert faults == []
    assert len(whole) == 3


def test_truncated_shard_is_named(copy):
    path = copy / "train" / "00001.tar"
    data = path.read_bytes()
    path.write_bytes(data[:-700])
    with pytest.raises(
        Fault, match=rf"train/00001.tar: has bytes 0-{len(data) - 700}, the manifest says 0-{len(data)}"
    ):
        Split(copy, "train").read(8)
    assert Split(copy, "train").read(0)[0] == "tiny_train_000"
    assert "train/00001.tar" in verify(copy)[1][0]


def test_every_flipped_byte_is_found(copy):
    path = copy / "val" / "00000.tar"
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), len(data) // 9):
        data[place] ^= 4
        path.write_bytes(data)
        data[place] ^= 4
        with pytest.raises(Fault, match=r"val/00000\.tar"):
            Split(copy, "val").read(0)
        assert len(verify(copy)[1]) == 1


def test_missing_and_stray_files_are_named(copy):
    (copy / "val" / "00000.tar").unlink()
    (copy / "test" / "00007.tar").write_bytes(b"")
    faults = "\n".join(verify(copy)[1])
    assert "val/00000.tar: not found" in faults
    assert "test/00007.tar: is not in the manifest" in faults


def test_broken_index_and_manifest_are_named(copy):
    index = copy / "index.parquet"
    index.write_bytes(index.read_bytes()[:-1] + b"\0")
    with pytest.raises(Fault, match=r"index.parquet: bytes"):
        Split(copy, "train")
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["size"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Fault, match=r"manifest.json: not a manifest \(size"):
        Split(copy, "train")
    with pytest.raises(Fault, match="not found"):
        Split(copy / "nowhere", "train")


def test_a_shard_is_hashed_once(tiny_shards, monkeypatch):
    touched = []

    def counted(path, *rest):
        touched.append(path.name)
        check_file(path, *rest)

    monkeypatch.setattr("components.shards.reader.check_file", counted)
    split = Split(tiny_shards, "train")
    for i in [0, 9, 1, 8, 0]:
        split.read(i)
    assert touched == ["00000.tar", "00001.tar"]
    split.verify()
    assert touched == ["00000.tar", "00001.tar", "00002.tar"]


def test_survives_pickle_and_close(tiny_shards):
    split = Split(tiny_shards, "test")
    split.read(0)
    other = pickle.loads(pickle.dumps(split))
    split.close()
    for reader in (other, split):
        np.testing.assert_array_equal(reader.picture(3, "photo"), tiny_sample(2003)["photo"])


def test_unknown_split_and_domain(tiny_shards):
    with pytest.raises(Fault, match="has no split dev"):
        Split(tiny_shards, "dev")
    with pytest.raises(Fault, match="photo: is not a label domain"):
        Split(tiny_shards, "val").histogram("photo")
