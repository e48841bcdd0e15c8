"""Where raw pictures come from: one file a source, and the one list of them all."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from components.faults import Fault
from components.schema import Section
from components.source import Source
from components.sources.earth import LICENCE as EARTH_LICENCE
from components.sources.earth import EarthConfig, fetch_earth
from components.sources.earth_cut import EarthCut, open_earth
from components.sources.fit import FolderCut
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder

FetchConfig = Annotated[EarthConfig | FolderConfig, Field(discriminator="name")]
CutConfig = Annotated[EarthCut | FolderCut, Field(discriminator="name")]


@dataclass(frozen=True)
class SourceKind:
    """A source as the list shows it: its two sections of params, and what they are given to."""

    config: type[Section]
    cut: type[Section]
    fetch: Callable[[Any, Path, Path], None]
    open: Callable[[Path, Any], Source]
    licence: str


SOURCES: dict[str, SourceKind] = {
    "earth": SourceKind(EarthConfig, EarthCut, fetch_earth, open_earth, EARTH_LICENCE),
    "folder": SourceKind(FolderConfig, FolderCut, fetch_folder, open_folder, "that of your pictures"),
}


def fetch(config: EarthConfig | FolderConfig, root: Path, cache: Path) -> None:
    """Fill root/NAME with raw pictures and source.json (origin, licence, hashes).

    Args:
        config: the `fetch` section.
        root: data/raw.
        cache: where downloads are kept between runs.

    Raises:
        Fault: what is asked for cannot be had, or nothing can be written.
    """
    SOURCES[config.name].fetch(config, root, cache)


def open_source(root: Path, cut: EarthCut | FolderCut) -> Source:
    """The samples of what was fetched into `root`, cut as the params say.

    Raises:
        Fault: another source, or nothing, was fetched; or its pictures do not make samples.
    """
    fetched = [name for name in SOURCES if (root / name / "source.json").is_file()]
    if fetched and cut.name not in fetched:
        raise Fault(f"shard.cut.name is {cut.name}, but fetch.name was {fetched[0]}; make them the same")
    return SOURCES[cut.name].open(root, cut)
