"""The reader and the verifier: what is broken is named."""

import io
import json
import os
import pickle
import shutil
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.faults import Fault
from components.shards.cache import check_file
from components.shards.index import write_index
from components.shards.manifest import Manifest
from components.shards.reader import Split, open_side
from components.shards.verify import verify
from components.storage.files import sha256_file
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


def edited(folder, change):
    """The set with its manifest changed by hand."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_broken_index_is_named_when_it_is_needed(copy):
    index = copy / "index.parquet"
    index.write_bytes(index.read_bytes()[:-1] + b"\0")
    split = Split(copy, "train")
    assert split.read(3)[0] == "tiny_train_003"
    assert split.histogram("labels").sum() == 24 * 32 * 32
    with pytest.raises(Fault, match=r"index.parquet: bytes"):
        _ = split.keys
    with pytest.raises(Fault, match=r"index.parquet: bytes"):
        split.histograms("labels")
    assert "index.parquet: bytes" in verify(copy)[1][0]


def test_broken_manifest_is_named(copy):
    for change, message in (
        (
            lambda m: m["domains"]["photo"].pop("size"),
            r"manifest.json: not a manifest \(.*domain photo has no size\); run dvc repro -f shard",
        ),
        (lambda m: m.update(version=1), r"manifest.json: version 1 of the layout, not 4: .*run dvc repro -f shard"),
        (lambda m: m["totals"]["val"].clear(), r"not a manifest \(.*totals of val"),
        (lambda m: m["splits"]["val"][0].pop("samples"), r"not a manifest \(splits.val.0.samples"),
    ):
        original = (copy / "manifest.json").read_text()
        with pytest.raises(Fault, match=message):
            Split(edited(copy, change), "train")
        (copy / "manifest.json").write_text(original)
    (copy / "manifest.json").write_text("{")
    with pytest.raises(Fault, match=r"not a manifest \(Invalid JSON"):
        Split(copy, "train")
    with pytest.raises(Fault, match="not found"):
        Split(copy / "nowhere", "train")


def test_a_tar_that_is_not_the_manifests_samples_is_named(copy):
    def reseal(build):
        """Replace val/00000.tar by other members, and put its new hash into the manifest."""
        path = copy / "val" / "00000.tar"
        with tarfile.open(path) as tar:
            members = [(info.name, tar.extractfile(info).read()) for info in tar]
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in build(members):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        facts = {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        edited(copy, lambda m: m["splits"]["val"][0].update(facts))
        return members

    original = reseal(lambda members: members)
    assert Split(copy, "val").read(7)[0] == "tiny_val_007"
    for build, message in (
        (lambda members: members[:-1], "the end at byte .* where photo of sample 7 of 8 should be"),
        (lambda members: [members[1], members[0], *members[2:]], "member tiny_val_000.photo.png at byte 0"),
        (lambda members: [*members, ("more.labels.png", b"")], "holds more than the 8 samples"),
        (lambda members: [("dir/x.labels.png", b"")], "where photo of sample 0 of 8"),
        (lambda members: [("a.b.labels.png", b""), *members[1:]], "member a.b.labels.png at byte 0"),
    ):
        reseal(lambda _, build=build: build(original))
        with pytest.raises(Fault, match=rf"val/00000.tar: .*{message}"):
            Split(copy, "val").read(0)
        assert "val/00000.tar" in verify(copy)[1][0]


def test_an_index_that_is_not_of_these_tars_is_named(copy):
    path = copy / "index.parquet"
    rows = pq.read_table(path).to_pylist()
    for place, change in ((5, {"key": "other"}), (9, {"offset": 512}), (3, {"shard": 1})):
        wrong = [row | (change if i == place else {}) for i, row in enumerate(rows)]
        entry = write_index(copy, wrong).model_dump(mode="json")
        faults = verify(edited(copy, lambda m, entry=entry: m.update(index=entry)))[1]
        assert len(faults) == 1
        assert f"index.parquet: says {tuple(wrong[place][c] for c in COLUMNS)} of picture {place} of train" in faults[0]
    entry = write_index(copy, rows).model_dump(mode="json")
    edited(copy, lambda m: m.update(index=entry))
    assert verify(copy)[1] == []
    edited(copy, lambda m: m["totals"]["train"]["labels"].reverse())
    assert verify(copy)[1] == [f"{copy}: the manifest's totals of labels are not those of the train index"]


COLUMNS = ("shard", "key", "domain", "offset", "length")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_few_files_are_open_and_threads_do_not_mind(copy):
    def files():
        return [link for link in map(os.path.realpath, Path("/proc/self/fd").iterdir()) if link.startswith(str(copy))]

    split = Split(copy, "train", open_shards=1)
    order = np.random.default_rng(0).permutation(np.tile(np.arange(24), 20))
    with ThreadPoolExecutor(8) as pool:
        for i, (key, sample) in zip(order, pool.map(split.read, order), strict=True):
            assert key == f"tiny_train_{i:03d}"
            np.testing.assert_array_equal(sample["labels"], tiny_sample(i)["labels"])
    assert len(files()) == 1
    split.close()
    assert files() == []


def test_a_manifest_is_read_once_until_it_changes(copy):
    assert Manifest.read(copy) is Split(copy, "val").manifest
    edited(copy, lambda m: m.update(source="another"))
    assert Manifest.read(copy).source == "another"


def test_the_name_of_a_set_does_not_depend_on_where_its_tars_lie(copy):
    manifest = Manifest.read(copy)
    moved = {
        name: [{"path": f"{entry.sha256}.tar", "sha256": entry.sha256, "bytes": entry.bytes, "samples": entry.samples}]
        for name, (entry, *rest) in manifest.splits.items()
        if not rest
    }
    edited(copy, lambda m: m.update(root=str(copy / "elsewhere")) or m["splits"].update(moved))
    again = Manifest.read(copy)
    assert again.sha256 == manifest.sha256
    assert again.location(copy, again.splits["val"][0]) == copy / "elsewhere" / moved["val"][0]["path"]
    (copy / "elsewhere").mkdir()
    (copy / "val" / "00000.tar").rename(copy / "elsewhere" / moved["val"][0]["path"])
    assert Split(copy, "val").read(2)[0] == "tiny_val_002"
    smaller = {name: domain.at((32, 64)) for name, domain in manifest.domains.items()}
    for change in ({"domains": smaller}, {"splits": manifest.splits | {"val": ()}}, {"domains": {}}):
        assert again.model_copy(update=change).sha256 != manifest.sha256


def test_a_shard_is_hashed_once(tiny_shards, monkeypatch):
    touched = []

    def counted(path, *rest):
        touched.append(path.name)
        check_file(path, *rest)

    monkeypatch.setattr("components.shards.cache.check_file", counted)
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


def test_only_the_domains_asked_for_are_decoded(tiny_shards, monkeypatch):
    decoded = []
    decode = Split._decode
    monkeypatch.setattr(Split, "_decode", lambda *args: decoded.append(args[-1]) or decode(*args))
    split = Split(tiny_shards, "val", domains=("photo",))
    assert list(split.domains) == ["photo"]
    for side in (split, open_side(tiny_shards, "val", "photo", open_shards=1)):
        key, pictures = side.read(6)
        assert (key, list(pictures)) == ("tiny_val_006", ["photo"])
        np.testing.assert_array_equal(pictures["photo"], tiny_sample(1006)["photo"])
        assert side.keys == Split(tiny_shards, "val").keys
    assert decoded == ["photo", "photo"]
    np.testing.assert_array_equal(split.picture(6, "labels"), tiny_sample(1006)["labels"])
    with pytest.raises(Fault, match="val shows no depth; it shows labels, photo"):
        Split(tiny_shards, "val", domains=("photo", "depth"))


def test_unknown_split_and_domain(tiny_shards):
    with pytest.raises(Fault, match="has no split dev"):
        Split(tiny_shards, "dev")
    with pytest.raises(Fault, match="photo: is not a label domain"):
        Split(tiny_shards, "val").histogram("photo")
