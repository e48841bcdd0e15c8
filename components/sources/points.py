"""Points of the plane from a known mixture of Gaussians, on which papers show how a GAN loses modes."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt
from tqdm import tqdm

from components.domain import Domain, Mixture, Picture, bytes_of_points
from components.faults import Fault
from components.files import write_json
from components.schema import Section
from components.source import SPLITS, Shown
from components.task import Task

LICENCE = "none: the points are drawn from a seed"
TASK = Task(target="point")
Count = Annotated[int, Field(ge=2, le=1_000_000)]
_RING, _RADIUS, _RING_STD = 8, 2.0, 0.02
_GRID, _SPACING, _GRID_STD = 5, 2.0, 0.05


class PointsConfig(Section):
    """Points are drawn when they are written into shards; there is nothing to fetch."""

    name: Literal["points"] = "points"


class PointsCut(Section):
    """Which points, and how many of each split.

    Attributes:
        shape: ring, 8 Gaussians of deviation 0.02 evenly spaced on a circle of radius 2 (Metz et al. 2017,
            arXiv:1611.02163); or grid, 25 of deviation 0.05 at the even places from -4 to 4 (Lin et al. 2018,
            arXiv:1712.04086).
        train, val, test: points of each split. seed: another gives other points.
    """

    name: Literal["points"] = "points"
    shape: Literal["ring", "grid"] = "ring"
    train: Count = 20_000
    val: Count = 1_000
    test: Count = 2_500
    seed: NonNegativeInt = 0

    def mixture(self) -> Mixture:
        """The density of the points."""
        if self.shape == "ring":
            angles = 2 * np.pi * np.arange(_RING) / _RING
            places = (_RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)).round(12)
            return Mixture(centres=tuple((float(x), float(y)) for x, y in places), std=_RING_STD)
        axis = [_SPACING * (i - _GRID // 2) for i in range(_GRID)]
        return Mixture(centres=tuple((x, y) for x in axis for y in axis), std=_GRID_STD)


@dataclass(frozen=True, slots=True)
class _Unit:
    key: str
    split: int
    index: int


@dataclass(frozen=True)
class PointsSource:
    """Points, each a function of the seed, its split and its place there."""

    cut: PointsCut
    splits: dict[str, list[_Unit]]

    @property
    def name(self) -> str:
        """As in `fetch.name`."""
        return "points"

    @property
    def domains(self) -> dict[str, Domain]:
        """The points and their density."""
        return dict(shows_points(PointsConfig(), self.cut).domains)

    @property
    def task(self) -> Task:
        """Points from noise."""
        return TASK

    def read(self, unit: _Unit, /) -> dict[str, Picture]:
        """One point, as its bytes."""
        mixture = self.cut.mixture()
        random = np.random.default_rng([self.cut.seed, unit.split, unit.index])
        centre = np.array(mixture.centres[random.integers(len(mixture.centres))])
        return {"point": bytes_of_points((centre + mixture.std * random.standard_normal(2))[None])[0]}


def shows_points(_: PointsConfig, cut: PointsCut) -> Shown:
    """What samples contain, according to the params alone."""
    return Shown({"point": Domain(kind="point", mixture=cut.mixture())}, TASK)


def fetch_points(config: PointsConfig, root: Path, cache: Path) -> None:  # noqa: ARG001 (nothing is downloaded)
    """Write root/points/source.json.

    Raises:
        Fault: the folder cannot be written to.
    """
    write_json(root / config.name / "source.json", {"name": config.name, "licence": LICENCE, "files": {}})
    tqdm.write(f"{root / config.name}: points are drawn by the shard stage", file=sys.stderr)


def open_points(root: Path, cut: PointsCut) -> PointsSource:
    """The points that params ask for.

    Raises:
        Fault: fetch has not run.
    """
    noted = root / "points/source.json"
    if not noted.is_file():
        raise Fault(f"{noted}: not found; run dvc repro fetch")
    counts = {"train": cut.train, "val": cut.val, "test": cut.test}
    splits = {
        split: [_Unit(f"{split}_{index:06d}", number, index) for index in range(counts[split])]
        for number, split in enumerate(SPLITS)
    }
    return PointsSource(cut, splits)
