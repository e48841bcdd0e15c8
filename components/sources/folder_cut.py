"""Samples of one's own pictures: pairs brought to one size, label maps read back as class indices."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field, PositiveInt

from components.domain import Domain
from components.schema import Section
from components.sources.folder import PICTURES, Side, read_folder_config
from components.sources.layout import Pair, find_pairs
from components.sources.palette import nearest_colour
from components.sources.pictures import as_indices, as_rgb, open_picture
from components.sources.source import BadSample, Picture, require_samples

Box = tuple[int, int, int, int]


class FolderCut(Section):
    """How pictures become samples.

    Attributes:
        size: side of a sample, in pixels.
        fit: what becomes of a picture that is not square. crop: the largest square in the middle, scaled;
            stretch: the whole, scaled to the square.
        tolerance: most that the colours of a drawn label map may be off the palette, as the mean RGB distance
            (0 to 442). JPEG blur stays below 50; a photo taken for labels is above 100.
    """

    name: Literal["folder"]
    size: PositiveInt = 64
    fit: Literal["crop", "stretch"] = "crop"
    tolerance: Annotated[float, Field(gt=0)] = 72.0


@dataclass(frozen=True)
class FolderSource:
    """Pairs of pictures in a folder."""

    pictures: Path
    cut: FolderCut
    side_by_side: bool
    a: Side
    b: Side
    domains: dict[str, Domain]
    direction: tuple[str, str]
    splits: dict[str, list[Pair]]
    name: str = "folder"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a sample."""
        return self.cut.size, self.cut.size

    def read(self, pair: Pair, /) -> dict[str, Picture]:
        """Both pictures of a pair, of the size of the cut.

        Raises:
            BadSample: a file is missing or broken, the two differ in size, or a label has no class.
        """
        for name, other, side in ((pair.a, pair.b, self.b), (pair.b, pair.a, self.a)):
            if not other:
                raise BadSample(f"{name}: has no partner of that name in {side.folder or side.name}")
        a = open_picture(self.pictures / pair.a, pair.a)
        if self.side_by_side:
            width, height = a.size
            if width % 2:
                raise BadSample(f"{pair.a}: {width} pixels wide, so its halves A and B are not of one size")
            a, b = a.crop((0, 0, width // 2, height)), a.crop((width // 2, 0, width, height))
        else:
            b = open_picture(self.pictures / pair.b, pair.b)
        if a.size != b.size:
            sizes = " and ".join(f"{width}x{height}" for width, height in (a.size, b.size))
            raise BadSample(f"{pair.a}, {pair.b}: a pair of unequal sizes, {sizes}")
        if self.cut.fit == "crop":
            a, b = a.crop(_square(a.size)), b.crop(_square(b.size))
        return {
            self.a.name: self._side(a, self.a, pair.a),
            self.b.name: self._side(b, self.b, pair.b),
        }

    def _side(self, picture: Image.Image, side: Side, name: str) -> Picture:
        domain = self.domains[side.name]
        if domain.kind == "image":
            rgb = Image.fromarray(as_rgb(picture, name))
            return np.asarray(rgb.resize(self.size, Image.Resampling.BICUBIC))
        if side.palette:
            labels, distance = nearest_colour(as_rgb(picture, name), domain.palette)
            if distance > self.cut.tolerance:
                raise BadSample(
                    f"{name}: colours of {side.name} are {distance:.0f} off its palette on average, more than "
                    f"shard.cut.tolerance = {self.cut.tolerance:g}; are A and B exchanged?"
                )
        else:
            labels = as_indices(picture, len(domain.classes), name)
        return np.asarray(Image.fromarray(labels).resize(self.size, Image.Resampling.NEAREST))


def open_folder(root: Path, cut: FolderCut) -> FolderSource:
    """The pairs of data/raw/folder.

    Raises:
        Fault: fetch has not run, the layout is another one, or a split is empty.
    """
    config = read_folder_config(root)
    pictures = root / "folder" / PICTURES
    splits = find_pairs(pictures, config)
    require_samples("folder", splits, "name its folder in fetch.splits, or give more training pictures")
    domains = {side.name: side.domain() for side in (config.a, config.b)}
    direction = (config.a.name, config.b.name)
    return FolderSource(
        pictures=pictures,
        cut=cut,
        side_by_side=config.layout == "side_by_side",
        a=config.a,
        b=config.b,
        domains=domains,
        direction=direction if config.direction == "AtoB" else (direction[1], direction[0]),
        splits=splits,
    )


def _square(size: tuple[int, int]) -> Box:
    """The largest square in the middle, as (left, top, right, bottom)."""
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return left, top, left + side, top + side
