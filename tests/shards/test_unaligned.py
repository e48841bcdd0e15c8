"""Sets whose samples show one domain each: train/horse beside train/zebra."""

import json
import tarfile

import numpy as np
import pytest

from components.faults import Fault
from components.samples.domain import Domain, sized
from components.shards.manifest import Manifest
from components.shards.order import EpochOrder
from components.shards.reader import Split, open_side
from components.shards.verify import verify
from components.shards.writer import write_set
from components.storage.files import sha256_file
from tests.conftest import TINY_CLASSES, TINY_PALETTE, TO_PHOTO, tiny_sample

COUNTS = {"train": (21, 10), "val": (3, 2), "test": (5, 9)}


@pytest.fixture
def folder(tmp_path):
    """Unequal numbers of label maps and of photos, none of the same sample; 8 to a tar."""
    return write(tmp_path / "shards")


def write(root, store=None):
    domains = {
        "labels": Domain(kind="label", classes=TINY_CLASSES, palette=TINY_PALETTE),
        "photo": Domain(kind="image"),
    }
    splits = {
        f"{split}/{name}": [(f"{split}_{name}_{i}", picture(name, i)) for i in range(counts[side])]
        for split, counts in COUNTS.items()
        for side, name in enumerate(domains)
    }
    write_set(root, "tiny", sized(domains, (32, 32)), TO_PHOTO, splits, samples_per_shard=8, store=store)
    return root


def picture(name, i):
    return {name: tiny_sample(i if name == "photo" else 500 + i)[name]}


def test_each_side_is_a_split_of_its_own(folder):
    manifest = Manifest.read(folder)
    assert not manifest.aligned
    assert [manifest.side("train", name) for name in manifest.domains] == ["train/labels", "train/photo"]
    for split, counts in COUNTS.items():
        for name, count in zip(manifest.domains, counts, strict=True):
            side = open_side(folder, split, name)
            assert (len(side), manifest.count(side.name), manifest.held(side.name)) == (count, count, (name,))
            key, pictures = side.read(count - 1)
            assert key == side.keys[-1] == f"{split}_{name}_{count - 1}"
            assert list(pictures) == list(side.domains) == [name]
            np.testing.assert_array_equal(pictures[name], picture(name, count - 1)[name])
    assert [entry.path for entry in manifest.splits["train/labels"]] == [f"train/labels/0000{i}.tar" for i in range(3)]


def test_an_aligned_set_has_its_sides_in_every_sample(tiny_shards):
    manifest = Manifest.read(tiny_shards)
    assert manifest.aligned
    assert (manifest.side("val", "photo"), manifest.held("val")) == ("val", ("labels", "photo"))
    with pytest.raises(Fault, match="the shards have no domain depth; they have labels, photo"):
        manifest.side("val", "depth")


def test_totals_are_of_the_sides_that_have_classes(folder):
    manifest = Manifest.read(folder)
    assert list(manifest.totals["train/labels"]) == ["labels"]
    assert manifest.totals["train/photo"] == {}
    labels = open_side(folder, "train", "labels")
    np.testing.assert_array_equal(labels.histograms("labels").sum(0), labels.histogram("labels"))
    assert labels.histogram("labels").sum() == 21 * 32 * 32
    with pytest.raises(Fault, match="photo: is not a label domain"):
        open_side(folder, "train", "photo").histogram("photo")


def test_what_is_not_there_is_named(folder):
    with pytest.raises(Fault, match="has no split train; it has train/labels, train/photo"):
        Split(folder, "train")
    with pytest.raises(Fault, match="train/photo shows no labels; it shows photo"):
        Split(folder, "train/photo", domains=("labels",))


def test_it_verifies_and_faults_name_the_side(folder):
    whole, faults = verify(folder)
    assert faults == []
    assert "train/photo: 10 samples in 2 shards" in whole[1]
    (folder / "train/photo/00007.tar").write_bytes(b"")
    (folder / "test/labels/00000.tar").unlink()
    faults = "\n".join(verify(folder)[1])
    assert "train/photo/00007.tar: is not in the manifest" in faults
    assert "test/labels/00000.tar: not found" in faults


def test_manifests_that_contradict_themselves_are_refused(folder):
    text = (folder / "manifest.json").read_text()
    for change, message in (
        (lambda m: m["splits"].update(train=m["splits"].pop("train/photo")), "an aligned and of an unaligned set"),
        (lambda m: m["splits"].update({"train/depth": []}), "split train/depth shows no domain of the set"),
        (lambda m: m["totals"]["val/photo"].update(labels=[1, 2, 3, 4]), "totals of val/photo"),
        (lambda m: m["totals"]["val/labels"].clear(), "totals of val/labels"),
    ):
        manifest = json.loads(text)
        change(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(Fault, match=message):
            Manifest.read(folder)


def test_the_same_samples_at_a_store_are_the_same_set(folder, tmp_path):
    stored = write(tmp_path / "stored", store=tmp_path / "store")
    assert sorted(path.name for path in stored.iterdir()) == ["index.parquet", "manifest.json"]
    assert Manifest.read(stored).sha256 == Manifest.read(folder).sha256
    for entry in Manifest.read(stored).splits["test/photo"]:
        assert entry.path.startswith("test/photo/0000")
        assert sha256_file(tmp_path / "store" / entry.path) == entry.sha256
    assert verify(stored)[1] == []
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.tar")}
    write(tmp_path / "again", store=tmp_path / "store")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.tar")} == before


def test_tars_hold_the_pictures_of_their_side_alone(folder):
    with tarfile.open(folder / "val/photo/00000.tar") as tar:
        assert tar.getnames() == ["val_photo_0.photo.png", "val_photo_1.photo.png"]


def test_an_epoch_of_a_side_shows_each_of_its_samples_once(folder):
    for name, count in zip(("labels", "photo"), COUNTS["train"], strict=True):
        side = open_side(folder, "train", name)
        order = EpochOrder(side.sizes, batch_size=4, seed=3, shuffle_shards=1, lanes=2)
        for epoch in range(3):
            shown = order.indices(np.arange(epoch * count, (epoch + 1) * count))
            assert sorted(shown.tolist()) == list(range(count))
