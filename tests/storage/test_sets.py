"""Sets of shards whose tars lie at a root: the same samples, the same batches, the same key."""

import numpy as np
import pytest
from upath import UPath

from components.faults import Fault
from components.shards.loader import Stream
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.verify import verify
from components.storage import remote
from components.storage.files import listed, sha256_file
from components.storage.home import located
from pipelines.cli import main
from tests.conftest import write_tiny


@pytest.fixture
def stored(root, tmp_path):
    """The tiny set with its tars at the root; the folder of its manifest."""
    return write_tiny(tmp_path / "shards", store=root / "shards")


def test_a_set_at_a_root_is_the_same_set(stored, root, tiny_shards):
    here, there = Manifest.read(tiny_shards), Manifest.read(stored)
    assert there.sha256 == here.sha256
    assert there.root == f"{root}/shards"
    assert sorted(path.name for path in stored.iterdir()) == ["index.parquet", "manifest.json"]
    tars = {name for name in listed(root / "shards") if name.endswith(".tar")}
    assert tars == {
        f"{split}/{number:05d}-{entry.sha256[:16]}.tar"
        for split, entries in there.splits.items()
        for number, entry in enumerate(entries)
    }


def test_batches_from_a_root_are_those_from_a_disk(stored, tiny_shards, proxy):
    streams = [Stream(Split(place, "train"), 4, 1) for place in (tiny_shards, stored)]
    for step in range(9):
        (here, seeds), (there, same) = (stream.batch(step) for stream in streams)
        assert here.keys() == there.keys()
        assert all(np.array_equal(here[name], there[name]) for name in here)
        assert np.array_equal(seeds, same)
    assert len(proxy.asked("GET", ".tar")) == 3  # one request a shard, however often it is read
    assert Split(stored, "val").keys == Split(tiny_shards, "val").keys


def test_every_node_can_read_the_published_manifest(stored, tiny_shards, proxy):
    place = Manifest.read(stored).published(stored)
    assert isinstance(place, UPath)
    assert Manifest.read(tiny_shards).published(tiny_shards) == tiny_shards.resolve()
    there, here = Split(place, "test"), Split(tiny_shards, "test")
    assert there.manifest.sha256 == here.manifest.sha256
    assert there.keys == here.keys
    assert np.array_equal(there.picture(3, "photo"), here.picture(3, "photo"))


def test_writing_again_sends_only_what_is_not_there(stored, root, proxy, tmp_path):
    names = sorted(name for name in listed(root / "shards") if name.endswith(".tar"))
    lost = root / "shards" / names[1]
    remote.remove(lost)
    proxy.clear()
    write_tiny(tmp_path / "again", store=root / "shards")
    assert [request.path.rpartition("/")[2] for request in proxy.asked("PUT", ".tar")] == [lost.name]
    assert sha256_file(tmp_path / "again/manifest.json") == sha256_file(stored / "manifest.json")


def test_a_failed_upload_leaves_no_set_and_the_old_one_alone(stored, root, proxy, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_PAUSES_S", ())
    before = sha256_file(stored / "manifest.json")
    proxy.trouble("PUT", ".tar", times=10**6, status=403)
    with pytest.raises(Fault, match=r"other/train/00000-[0-9a-f]{16}\.tar: Reduce your request rate"):
        write_tiny(stored, store=root / "other")
    assert sha256_file(stored / "manifest.json") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shards"]


def test_verify_reads_what_lies_at_the_root(stored, root, capsys):
    split = Split(stored, "val")
    split.read(0)  # a copy in this node's cache
    assert verify(stored)[1] == []
    main(["verify", str(Manifest.read(stored).published(stored))])
    assert "8 samples in 1 shards" in capsys.readouterr().out
    location = split.manifest.location(stored, split.manifest.splits["val"][0])
    data = bytearray(remote.read(location))
    data[700] ^= 1
    remote.write(location, bytes(data))
    with pytest.raises(SystemExit, match=f"{location}: bytes 0-{len(data)} do not have the sha256"):
        main(["verify", str(stored)])


def test_a_folder_that_nodes_share_is_a_root_too(tiny_shards, tmp_path):
    stored = write_tiny(tmp_path / "shards", store=tmp_path / "nfs/shards")
    manifest = Manifest.read(stored)
    assert manifest.sha256 == Manifest.read(tiny_shards).sha256
    place = manifest.published(stored)
    assert place == located(str(tmp_path / "nfs/shards")) / "manifests" / place.name
    assert Split(place, "train").read(9)[0] == "tiny_train_009"
    assert verify(stored)[1] == []
