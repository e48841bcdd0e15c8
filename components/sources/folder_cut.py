"""Samples of your own pictures: pairs, or pictures of one side or two, all brought to one size."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.faults import Fault
from components.samples.domain import Domain, Picture, height_width, sized
from components.samples.source import BadSample, Shown, require_samples
from components.samples.task import Task
from components.sources.attributes import Attributed, find_attributes
from components.sources.classes import Classed, find_classes
from components.sources.fit import FolderCut, fitted
from components.sources.folder import PICTURES, read_folder
from components.sources.folder_config import FolderConfig, Side
from components.sources.layout import Pair, files_below, find_pairs
from components.sources.leaks import Place, of_pairs, refuse_shared
from components.sources.photos import find_photos
from components.sources.pictures import open_picture
from components.sources.sides import Single, find_sides

_ADVICE = "name its folder in fetch.splits, or give more training pictures"


@dataclass(frozen=True)
class _Folder:
    """Pictures in a folder: what all layouts have."""

    pictures: Path
    cut: FolderCut
    sides: tuple[Side, ...]
    domains: dict[str, Domain]
    task: Task

    @property
    def name(self) -> str:
        """As in `fetch.name`."""
        return "folder"


@dataclass(frozen=True)
class PairsSource(_Folder):
    """Pairs of pictures in a folder."""

    side_by_side: bool
    splits: dict[str, list[Pair]]

    def read(self, pair: Pair, /) -> dict[str, Picture]:
        """Both pictures of a pair, of the size of the cut.

        Raises:
            BadSample: a file is missing or broken, the two differ in size, or a label has no class.
        """
        left, right = self.sides
        for name, other, side in ((pair.a, pair.b, right), (pair.b, pair.a, left)):
            if not other:
                raise BadSample(f"{name}: has no partner of that name in {side.folder or side.name}")
        a = open_picture(self.pictures / pair.a, pair.a)
        width, height = size = a.size
        if self.side_by_side:
            if width % 2:
                raise BadSample(f"{pair.a}: {width} pixels wide, so its halves A and B are not of one size")
            a, b = a.crop((0, 0, width // 2, height)), a.crop((width // 2, 0, width, height))
            return {left.name: fitted(a, left, self.cut, pair.a), right.name: fitted(b, right, self.cut, pair.b)}
        first = fitted(a, left, self.cut, pair.a)
        del a  # two large ones would not fit at once
        b = open_picture(self.pictures / pair.b, pair.b)
        if b.size != size:
            sizes = " and ".join(f"{width}x{height}" for width, height in (size, b.size))
            raise BadSample(f"{pair.a}, {pair.b}: the pictures of this pair differ in size, {sizes}")
        return {left.name: first, right.name: fitted(b, right, self.cut, pair.b)}


@dataclass(frozen=True)
class SidesSource(_Folder):
    """Pictures of two sides, or of one alone, each a sample of its own."""

    splits: dict[str, list[Single]]

    def read(self, single: Single, /) -> dict[str, Picture]:
        """The picture by the name of its side, of the size of the cut.

        Raises:
            BadSample: the file is broken, or a label has no class.
        """
        side = next(side for side in self.sides if side.name == single.side)
        return {side.name: fitted(open_picture(self.pictures / single.file, single.file), side, self.cut, single.file)}


@dataclass(frozen=True)
class ToldSource(_Folder):
    """Pictures of one kind, each with the class of its folder, or with its attributes."""

    splits: dict[str, list[Classed]] | dict[str, list[Attributed]]

    def read(self, one: Classed | Attributed, /) -> dict[str, Picture]:
        """The picture, of the size of the cut, and the index of its class, () uint8, or its attributes, (classes,).

        Raises:
            BadSample: the file is broken.
        """
        photo, told = self.sides
        picture = fitted(open_picture(self.pictures / one.file, one.file), photo, self.cut, one.file)
        return {photo.name: picture, told.name: np.array(one.kind, np.uint8)}


def shows_folder(fetch: FolderConfig, cut: FolderCut) -> Shown:
    """What samples contain, according to the params alone."""
    domains = sized(fetch.domains, height_width(cut.image_size))
    return Shown(domains, fetch.task, aligned=fetch.layout != "unpaired")


def open_folder(root: Path, cut: FolderCut) -> PairsSource | SidesSource | ToldSource:
    """The samples of data/raw/folder.

    Raises:
        Fault: fetch has not run or wrote other files than there are, the layout is another one, a split or a side is
            empty, or one picture that has no partner is on both sides, or in two splits.
    """
    config, hashes = read_folder(root)
    pictures = root / "folder" / PICTURES
    _require_as_fetched(pictures, hashes)
    shared = (pictures, cut, config.sides, sized(config.domains, height_width(cut.image_size)), config.task)
    if config.layout in ("classes", "attributes"):
        told = find_classes(pictures, config) if config.layout == "classes" else find_attributes(pictures, config)
        require_samples("folder", told, _ADVICE)
        refuse_shared((hashes[one.file], Place(split, "", one.file)) for split, ones in told.items() for one in ones)
        return ToldSource(*shared, told)
    if config.layout in ("unpaired", "photos"):
        singles = find_sides(pictures, config) if config.layout == "unpaired" else find_photos(pictures, config)
        require_samples("folder", singles, _ADVICE)
        refuse_shared(
            (hashes[one.file], Place(split, one.side, one.file)) for split, ones in singles.items() for one in ones
        )
        return SidesSource(*shared, singles)
    pairs = find_pairs(pictures, config)
    require_samples("folder", pairs, _ADVICE)
    is_image = config.a.domain().kind == "image", config.b.domain().kind == "image"
    files = {split: [(pair.a, pair.b) for pair in found] for split, found in pairs.items()}
    refuse_shared(of_pairs(files, hashes, is_image))
    return PairsSource(*shared, config.layout == "side_by_side", pairs)


def _require_as_fetched(pictures: Path, hashes: Mapping[str, str]) -> None:
    """Refuse files that fetch did not write, and a lack of those that it did; a sample would be missing in silence."""
    for name in sorted(set(files_below(pictures)) ^ set(hashes)):
        what = "is no longer there" if name in hashes else "was not written by fetch"
        raise Fault(f"{pictures / name}: {what}; run dvc repro -f fetch")
