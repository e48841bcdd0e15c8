"""Samples of one's own pictures: pairs, or pictures of one side or two, all brought to one size."""

from dataclasses import dataclass
from pathlib import Path

from components.domain import Domain, Picture, height_width
from components.source import BadSample, require_samples
from components.sources.fit import FolderCut, fitted
from components.sources.folder import PICTURES, read_folder
from components.sources.folder_config import Side
from components.sources.layout import Pair, find_pairs
from components.sources.leaks import Place, of_pairs, refuse_shared
from components.sources.photos import find_photos
from components.sources.pictures import open_picture
from components.sources.sides import Single, find_sides
from components.task import Task

_ADVICE = "name its folder in fetch.splits, or give more training pictures"


@dataclass(frozen=True)
class _Folder:
    """Pictures in a folder: what all layouts have."""

    pictures: Path
    cut: FolderCut
    sides: tuple[Side, ...]
    task: Task

    @property
    def name(self) -> str:
        """As in `fetch.name`."""
        return "folder"

    @property
    def domains(self) -> dict[str, Domain]:
        """What the pictures of each side are."""
        return {side.name: side.domain() for side in self.sides}

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a sample."""
        return height_width(self.cut.image_size)


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
            raise BadSample(f"{pair.a}, {pair.b}: a pair of unequal sizes, {sizes}")
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


def open_folder(root: Path, cut: FolderCut) -> PairsSource | SidesSource:
    """The samples of data/raw/folder.

    Raises:
        Fault: fetch has not run, the layout is another one, a split or a side is empty, or one picture that has
            no partner is on both sides, or in two splits.
    """
    config, hashes = read_folder(root)
    pictures = root / "folder" / PICTURES
    if config.layout in ("unpaired", "photos"):
        singles = find_sides(pictures, config) if config.layout == "unpaired" else find_photos(pictures, config)
        require_samples("folder", singles, _ADVICE)
        refuse_shared(
            (hashes[one.file], Place(split, one.side, one.file)) for split, ones in singles.items() for one in ones
        )
        return SidesSource(pictures, cut, config.sides, config.task, singles)
    pairs = find_pairs(pictures, config)
    require_samples("folder", pairs, _ADVICE)
    is_image = config.a.domain().kind == "image", config.b.domain().kind == "image"
    files = {split: [(pair.a, pair.b) for pair in found] for split, found in pairs.items()}
    refuse_shared(of_pairs(files, hashes, is_image))
    return PairsSource(pictures, cut, config.sides, config.task, config.layout == "side_by_side", pairs)
