"""Tiles of the Earth: land cover merged into a few classes, splits by longitude band."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from PIL import Image
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from components.faults import Fault
from components.samples.domain import Colour, Domain, ImageSize, Picture, height_width, sized
from components.samples.schema import Section
from components.samples.source import SPLITS, Shown, require_samples
from components.samples.task import Task
from components.sources.earth import NAMES, EarthConfig, earth_rasters
from components.sources.pictures import as_indices, as_rgb, open_picture

SplitName = Literal["train", "val", "test"]
LAND_COVER = Task(source="labels", target="photo")
_WATER = 0
_CODES = 256


class MergedClass(Section):
    """IGBP land-cover codes that are one class here, and the colour it is drawn in."""

    codes: Annotated[tuple[Annotated[int, Field(ge=0, lt=_CODES)], ...], Field(min_length=1)]
    colour: Colour


NINE_CLASSES: dict[str, MergedClass] = {
    "water": MergedClass(codes=(0,), colour=(23, 62, 115)),
    "forest": MergedClass(codes=(1, 2, 3, 4, 5), colour=(25, 94, 43)),
    "shrub": MergedClass(codes=(6, 7), colour=(176, 150, 98)),
    "savanna": MergedClass(codes=(8, 9), colour=(150, 170, 60)),
    "grass": MergedClass(codes=(10,), colour=(196, 214, 130)),
    "crop": MergedClass(codes=(11, 12, 14), colour=(230, 190, 80)),
    "urban": MergedClass(codes=(13,), colour=(214, 48, 49)),
    "snow": MergedClass(codes=(15,), colour=(245, 247, 250)),
    "barren": MergedClass(codes=(16,), colour=(214, 196, 163)),
}


class EarthCut(Section):
    """How the globe is cut into samples.

    Attributes:
        image_size: side of a tile, or its [height, width], in pixels of the photo (15 a degree).
        stride: step between tiles, in pixels.
        min_land: least share of a tile that is not water.
        north, south: degrees of latitude between which tiles lie.
        band_degrees: width of a longitude band; a band belongs to one split.
        pattern: the splits of the bands from 180 W eastward, repeated.
        classes: name -> codes and colour, in the order of the class indices.
    """

    name: Literal["earth"] = "earth"
    image_size: ImageSize = 64
    stride: PositiveInt = 32
    min_land: Annotated[float, Field(ge=0, le=1)] = 0.3
    north: Annotated[float, Field(ge=-90, le=90)] = 80.0
    south: Annotated[float, Field(ge=-90, le=90)] = -60.0
    band_degrees: Annotated[float, Field(gt=0, le=180)] = 15.0
    pattern: tuple[SplitName, ...] = ("train", "train", "test", "train", "train", "val", "train", "test")
    classes: dict[str, MergedClass] = NINE_CLASSES

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.south >= self.north:
            raise ValueError("south must be below north")
        if missing := set(SPLITS) - set(self.pattern):
            raise ValueError(f"pattern has no {' and no '.join(sorted(missing))} band")
        codes = [code for merged in self.classes.values() for code in merged.codes]
        if doubled := sorted({code for code in codes if codes.count(code) > 1}):
            raise ValueError(f"classes name code {doubled[0]} more than once")
        colours = [merged.colour for merged in self.classes.values()]
        if same := [colour for index, colour in enumerate(colours) if colour in colours[:index]]:
            raise ValueError(f"classes: the colour {same[0]} stands for two classes")
        return self


@dataclass(frozen=True, slots=True)
class EarthUnit:
    """A tile: its top left pixel."""

    key: str
    row: NonNegativeInt
    column: NonNegativeInt


@dataclass(frozen=True)
class EarthSource:
    """Tiles of one globe held in memory: labels (H, W) class indices, all else (H, W, 3)."""

    rasters: dict[str, Picture]
    domains: dict[str, Domain]
    splits: dict[str, list[EarthUnit]]
    task: Task = LAND_COVER
    name: str = "earth"

    def read(self, unit: EarthUnit, /) -> dict[str, Picture]:
        """The tile of each picture."""
        height, width = self.domains["photo"].height_width
        window = np.s_[unit.row : unit.row + height, unit.column : unit.column + width]
        return {name: raster[window] for name, raster in self.rasters.items()}


def earth_domains(cut: EarthCut) -> dict[str, Domain]:
    """What each tile of the globe is, of the pictures that may be fetched."""
    palette = tuple(merged.colour for merged in cut.classes.values())
    labels = Domain(kind="label", classes=tuple(cut.classes), palette=palette)
    pictures = {str(name): Domain(kind="image") for name in NAMES} | {"labels": labels}
    return sized(pictures, height_width(cut.image_size))


def shows_earth(fetch: EarthConfig, cut: EarthCut) -> Shown:
    """What samples contain, according to the params alone."""
    every = earth_domains(cut)
    return Shown({str(name): every[name] for name in fetch.pictures}, LAND_COVER)


def open_earth(root: Path, cut: EarthCut) -> EarthSource:
    """The tiles of data/raw/earth.

    Raises:
        Fault: fetch has not run; a raster is not a whole globe, a land-cover code has no class, or a split is empty.
    """
    paths = earth_rasters(root)
    labels = paths.pop("labels")
    photo = _globe(paths.pop("photo"))
    codes = as_indices(open_picture(labels, str(labels)), _CODES, str(labels))
    _check_whole(labels, codes.shape)
    codes = nearest_resize(codes, photo.shape[0], photo.shape[1])
    rasters = {"labels": merge_codes(codes, cut.classes, labels), "photo": photo}
    rasters |= {name: _globe(path, (photo.shape[1], photo.shape[0])) for name, path in paths.items()}
    splits = cut_tiles(codes != _WATER, cut)
    require_samples("earth", splits, "lower shard.cut.min_land or image_size, or widen band_degrees")
    domains = {name: domain for name, domain in earth_domains(cut).items() if name in rasters}
    return EarthSource(rasters, domains, splits)


def _globe(path: Path, size: tuple[int, int] | None = None) -> Picture:
    """A picture of the whole globe, (H, W, 3), brought to `size` (width, height) by Lanczos with antialiasing."""
    picture = as_rgb(open_picture(path, str(path)), str(path))
    _check_whole(path, picture.shape)
    if size in (None, (picture.shape[1], picture.shape[0])):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _check_whole(path: Path, shape: tuple[int, ...]) -> None:
    if shape[1] != 2 * shape[0]:
        raise Fault(f"{path}: {shape[1]}x{shape[0]} is not a whole globe, twice as wide as high")


def nearest_resize(values: Picture, height: int, width: int) -> Picture:
    """The value under the centre of each pixel of a (height, width) grid over the same area."""
    rows = (2 * np.arange(height) + 1) * values.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * values.shape[1] // (2 * width)
    return values[rows[:, None], columns[None, :]]


def merge_codes(codes: Picture, classes: dict[str, MergedClass], path: Path) -> Picture:
    """Land-cover codes as class indices, (H, W) both.

    Raises:
        Fault: a code that no class names, with its place.
    """
    unknown = 255
    table = np.full(_CODES, unknown, np.uint8)
    for index, merged in enumerate(classes.values()):
        table[list(merged.codes)] = index
    labels: Picture = table[codes]
    if (labels == unknown).any():
        row, column = np.argwhere(labels == unknown)[0]
        north, east = 90 - (row + 0.5) * 180 / codes.shape[0], (column + 0.5) * 360 / codes.shape[1] - 180
        raise Fault(
            f"{path}: land-cover code {codes[row, column]} at {north:.2f} N, {east:.2f} E is in no class; "
            "add it to shard.cut.classes"
        )
    return labels


def cut_tiles(land: np.ndarray, cut: EarthCut) -> dict[str, list[EarthUnit]]:
    """The tiles of each split; those of different splits share no pixel.

    Args:
        land: (H, W) bool, the whole globe.
        cut: sizes, bands and the least share of land.
    """
    height, width = land.shape
    tall, wide = height_width(cut.image_size)
    top, bottom = (round((90 - degrees) * height / 180) for degrees in (cut.north, cut.south))
    # Sums over any rectangle from one table, so that a stride of 1 is no slower than one of 64.
    total = np.zeros((height + 1, width + 1), np.int64)
    total[1:, 1:] = land.cumsum(0, dtype=np.int64).cumsum(1)
    splits: dict[str, list[EarthUnit]] = {name: [] for name in SPLITS}
    for split, left, right in band_runs(cut, width):
        rows = np.arange(top, bottom - tall + 1, cut.stride)
        columns = np.arange(left, right - wide + 1, cut.stride)
        r, c = np.meshgrid(rows, columns, indexing="ij")
        area = total[r + tall, c + wide] - total[r, c + wide] - total[r + tall, c] + total[r, c]
        for row, column in np.argwhere(area >= cut.min_land * tall * wide):
            y, x = int(rows[row]), int(columns[column])
            splits[split].append(EarthUnit(f"earth_r{y:04d}_c{x:04d}", y, x))
    return {name: sorted(units, key=lambda unit: unit.key) for name, units in splits.items()}


def band_runs(cut: EarthCut, width: int) -> list[tuple[str, int, int]]:
    """(split, first column, column after the last) of each run of neighbouring bands of one split.

    A run ends at the date line, where the picture does.
    """
    bands = math.ceil(360 / cut.band_degrees)
    runs: list[tuple[str, int, int]] = []
    for band in range(bands):
        split = cut.pattern[band % len(cut.pattern)]
        left = round(band * cut.band_degrees * width / 360)
        right = min(width, round((band + 1) * cut.band_degrees * width / 360))
        if runs and runs[-1][0] == split:
            runs[-1] = (split, runs[-1][1], right)
        else:
            runs.append((split, left, right))
    return runs
