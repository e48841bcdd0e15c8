"""The writer: the same bytes whoever writes them, readable by the WebDataset library."""

import errno
import gc
import io
import tarfile
from dataclasses import dataclass, field

import numpy as np
import pytest
import webdataset
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from components.faults import Fault
from components.samples.domain import Domain, DomainName, sized
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.tar import TarWriter, encode
from components.shards.writer import write_set, write_shards
from components.storage.files import sha256_file
from tests.conftest import TINY_CLASSES, TINY_PALETTE, TO_PHOTO, tiny_sample

DOMAINS = {
    "labels": Domain(kind="label", classes=TINY_CLASSES, palette=TINY_PALETTE, size=(32, 32)),
    "photo": Domain(kind="image", size=(32, 32)),
}


@dataclass(frozen=True)
class Unit:
    key: str
    seed: int


@dataclass
class Generated:
    """Samples made on the spot, some of them bad."""

    counts: tuple[int, int, int] = (40, 5, 5)
    bad: frozenset[str] = frozenset()
    name: str = "generated"
    domains: dict[str, Domain] = field(default_factory=lambda: DOMAINS)
    task: Task = TO_PHOTO

    @property
    def splits(self):
        names = ("train", "val", "test")
        return {s: [Unit(f"{s}_{i:02d}", i) for i in range(n)] for s, n in zip(names, self.counts, strict=True)}

    def read(self, unit: Unit):
        if unit.key in self.bad:
            raise Fault(f"{unit.key}.jpg: broken picture")
        return tiny_sample(unit.seed)


def hashes(root):
    return {str(path.relative_to(root)): sha256_file(path) for path in sorted(root.rglob("*")) if path.is_file()}


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    for workers in (1, 2, 3):
        config = ShardConfig(samples_per_shard=12, num_workers=workers)
        write_shards(Generated(), tmp_path / str(workers), config)
    first = hashes(tmp_path / "1")
    assert first == hashes(tmp_path / "2") == hashes(tmp_path / "3")
    assert [name for name in first if name.startswith("train")] == [f"train/0000{i}.tar" for i in range(4)]


def test_manifest_and_index_agree_with_the_tars(tmp_path):
    manifest = write_shards(Generated(), tmp_path / "s", ShardConfig(samples_per_shard=12))
    assert Manifest.read(tmp_path / "s") == manifest
    assert manifest.sha256 == Manifest.read(tmp_path / "s").sha256
    for entries in manifest.splits.values():
        for entry in entries:
            path = tmp_path / "s" / entry.path
            assert (sha256_file(path), path.stat().st_size) == (entry.sha256, entry.bytes)
            with tarfile.open(path) as tar:
                assert {(m.mtime, m.uid, m.gid, m.mode, m.uname) for m in tar} == {(0, 0, 0, 0o644, "")}
    split = Split(tmp_path / "s", "train")
    assert split.keys == [f"train_{i:02d}" for i in range(40)]
    for i in (0, 11, 12, 39):
        key, pictures = split.read(i)
        for domain, expected in tiny_sample(int(key[-2:])).items():
            np.testing.assert_array_equal(pictures[domain], expected)
    counts = sum(np.bincount(tiny_sample(i)["labels"].ravel(), minlength=4) for i in range(40))
    np.testing.assert_array_equal(split.histogram("labels"), counts)
    np.testing.assert_array_equal(
        split.histograms("labels")[7], np.bincount(tiny_sample(7)["labels"].ravel(), minlength=4)
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_webdataset_reads_our_tars(tiny_shards):
    paths = [str(path) for path in sorted((tiny_shards / "train").glob("*.tar"))]
    samples = list(webdataset.WebDataset(paths, shardshuffle=False))
    assert [sample["__key__"].rsplit("/")[-1] for sample in samples] == Split(tiny_shards, "train").keys
    labels = np.asarray(Image.open(io.BytesIO(samples[5]["labels.png"])))
    np.testing.assert_array_equal(labels, tiny_sample(5)["labels"])
    gc.collect()


def test_the_library_writes_the_same_bytes(tmp_path):
    samples = [encode(f"k{i:02d}", tiny_sample(i), DOMAINS) for i in range(20)]
    with TarWriter(tmp_path, "ours.tar") as ours:
        for sample in samples:
            ours.add(sample)
    header = {"mtime": 0, "user": "", "group": "", "mode": 0o644}
    with webdataset.TarWriter(str(tmp_path / "theirs.tar"), encoder=False, **header) as theirs:
        for sample in samples:
            members = {f"{member.domain}.{member.extension}": member.data for member in sample.members}
            theirs.write({"__key__": sample.key} | members)
    assert ours.entry().sha256 == sha256_file(tmp_path / "theirs.tar")


def test_bad_samples_are_named_counted_and_refused(tmp_path, capsys):
    source = Generated(bad=frozenset({"train_03", "val_01"}))
    with pytest.raises(Fault, match=r"2 bad samples, more than shard.max_bad = 0; the first: train_03.jpg"):
        write_shards(source, tmp_path / "s", ShardConfig())
    assert list(tmp_path.iterdir()) == []
    manifest = write_shards(source, tmp_path / "s", ShardConfig(max_bad=2))
    assert [(entry.split, entry.key) for entry in manifest.bad] == [("train", "train_03"), ("val", "val_01")]
    assert manifest.count("train") == 39
    assert "bad sample: val_01.jpg: broken picture" in capsys.readouterr().err


def test_a_split_whose_samples_are_all_bad_is_refused(tmp_path):
    with pytest.raises(Fault, match="val split is empty"):
        write_shards(Generated(counts=(4, 1, 1), bad=frozenset({"val_00"})), tmp_path / "s", ShardConfig(max_bad=9))
    with pytest.raises(Fault, match="test split is empty"):
        write_shards(Generated(counts=(4, 1, 0)), tmp_path / "s", ShardConfig())


def test_no_space_left_is_one_line_and_keeps_the_old_set(tmp_path, monkeypatch):
    root = tmp_path / "s"
    write_shards(Generated(), root, ShardConfig(num_workers=1))
    before = hashes(root)

    def full(self, sample):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TarWriter, "add", full)
    with pytest.raises(Fault, match="no space left"):
        write_shards(Generated(), root, ShardConfig(num_workers=1))
    assert hashes(root) == before
    assert list(tmp_path.iterdir()) == [root]


def test_wrong_pictures_are_refused():
    good = tiny_sample(1)
    with pytest.raises(Fault, match="label 9 at row 0, column 0 is outside the 4 classes"):
        encode("k", good | {"labels": np.full((32, 32), 9, np.uint8)}, DOMAINS)
    with pytest.raises(Fault, match="photo is float64"):
        encode("k", good | {"photo": good["photo"] / 255}, DOMAINS)
    with pytest.raises(Fault, match="has pictures"):
        encode("k", {"photo": good["photo"]}, DOMAINS)
    for key in ("", "a.b", "a/b", "é", "x" * 81):
        with pytest.raises(Fault, match="a key has"):
            encode(key, good, DOMAINS)


def test_the_longest_names_fit_a_tar_and_longer_ones_are_refused(tmp_path):
    picture, longest = tiny_sample(1)["photo"], "d" * 15
    TypeAdapter(DomainName).validate_python(longest)
    keys = [character * 80 for character in "abc"]
    domains = {longest: Domain(kind="image"), "photo": Domain(kind="image")}
    splits = {"train": [(key, {longest: picture, "photo": picture}) for key in keys]}
    write_set(tmp_path / "s", "x", sized(domains, (32, 32)), Task(source=longest, target="photo"), splits)
    split = Split(tmp_path / "s", "train")
    assert split.keys == keys
    np.testing.assert_array_equal(split.read(2)[1][longest], picture)
    with pytest.raises(ValidationError):
        TypeAdapter(DomainName).validate_python(longest + "d")
    too_long = {longest + "d": Domain(kind="image", size=(32, 32))}
    with pytest.raises(Fault, match=r"c\.d{16}\.png is longer than the 100 characters of a name in a tar") as fault:
        encode(keys[2], {longest + "d": picture}, too_long)
    assert "\n" not in str(fault.value)
    assert encode("c" * 79, {longest + "d": picture}, too_long).members[0].domain == longest + "d"


def test_doubled_key_is_refused(tmp_path):
    class Doubled(Generated):
        @property
        def splits(self):
            return {"train": [Unit("x", 1)], "val": [Unit("x", 2)], "test": [Unit("y", 3)]}

    with pytest.raises(Fault, match="two samples have the key x"):
        write_shards(Doubled(), tmp_path / "s", ShardConfig())
