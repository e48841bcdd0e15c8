"""Points of the plane from a known mixture of Gaussians, on which papers show how a GAN loses modes."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt
from tqdm import tqdm

from components.faults import Fault
from components.samples.domain import Domain, Mixture, Picture, bytes_of_points
from components.samples.schema import Section
from components.samples.source import Shown
from components.samples.task import Task
from components.sources.drawn import Drawn, drawn_splits
from components.storage.files import write_json

LICENCE = "none: the points are drawn from a seed"
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
            arXiv:1611.02163); grid, 25 of deviation 0.05 at the even places from -4 to 4 (Lin et al. 2018,
            arXiv:1712.04086); or both, a point of each in every sample, as domains `ring` and `grid`.
        train, val, test: points of each split. seed: another gives other points.
    """

    name: Literal["points"] = "points"
    shape: Literal["ring", "grid", "both"] = "ring"
    train: Count = 20_000
    val: Count = 1_000
    test: Count = 2_500
    seed: NonNegativeInt = 0

    def mixtures(self) -> dict[str, Mixture]:
        """The density of each domain's points, the task's target first."""
        match self.shape:
            case "ring":
                return {"point": _ring()}
            case "grid":
                return {"point": _grid()}
            case "both":
                return {"ring": _ring(), "grid": _grid()}


@dataclass(frozen=True)
class PointsSource:
    """Points, each a function of the seed, its split and its place there."""

    cut: PointsCut
    splits: dict[str, list[Drawn]]

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
        return shows_points(PointsConfig(), self.cut).task

    def read(self, unit: Drawn, /) -> dict[str, Picture]:
        """One point of each domain, as its bytes."""
        random = unit.random(self.cut.seed)
        return {name: _drawn(mixture, random) for name, mixture in self.cut.mixtures().items()}


def shows_points(_: PointsConfig, cut: PointsCut) -> Shown:
    """What samples contain, according to the params alone."""
    domains = {name: Domain(kind="point", mixture=mixture) for name, mixture in cut.mixtures().items()}
    return Shown(domains, Task(target=next(iter(domains))))


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
    return PointsSource(cut, drawn_splits(cut.train, cut.val, cut.test))


def _ring() -> Mixture:
    angles = 2 * np.pi * np.arange(_RING) / _RING
    places = (_RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)).round(12)
    return Mixture(centres=tuple((float(x), float(y)) for x, y in places), std=_RING_STD)


def _grid() -> Mixture:
    axis = [_SPACING * (i - _GRID // 2) for i in range(_GRID)]
    return Mixture(centres=tuple((x, y) for x in axis for y in axis), std=_GRID_STD)


def _drawn(mixture: Mixture, random: np.random.Generator) -> Picture:
    centre = np.array(mixture.centres[random.integers(len(mixture.centres))])
    return bytes_of_points((centre + mixture.std * random.standard_normal(2))[None])[0]
