"""Where raw pictures come from: one file for each source, and the list of all sources."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from components.faults import Fault
from components.samples.schema import Section
from components.samples.source import Shown, Source
from components.sources.earth import LICENCE as EARTH_LICENCE
from components.sources.earth import EarthConfig, fetch_earth
from components.sources.earth_cut import EarthCut, open_earth, shows_earth
from components.sources.emoji import LICENCE as EMOJI_LICENCE
from components.sources.emoji import EmojiConfig, fetch_emoji
from components.sources.emoji_cut import EmojiCut, open_emoji, shows_emoji
from components.sources.fashion_mnist import LICENCE as FASHION_LICENCE
from components.sources.fashion_mnist import (
    FashionMNISTConfig,
    FashionMNISTCut,
    fetch_fashion,
    open_fashion,
    shows_fashion,
)
from components.sources.fit import FolderCut
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder, shows_folder
from components.sources.points import LICENCE as POINTS_LICENCE
from components.sources.points import PointsConfig, PointsCut, fetch_points, open_points, shows_points
from components.sources.stacked_mnist import LICENCE as MNIST_LICENCE
from components.sources.stacked_mnist import (
    StackedMNISTConfig,
    StackedMNISTCut,
    fetch_stacked,
    open_stacked,
    shows_stacked,
)
from components.sources.webdataset import fetch_webdataset
from components.sources.webdataset_config import WebdatasetConfig, WebdatasetCut
from components.sources.webdataset_cut import open_webdataset, shows_webdataset

AnyFetchConfig = (
    EarthConfig | FolderConfig | FashionMNISTConfig | EmojiConfig | PointsConfig | StackedMNISTConfig | WebdatasetConfig
)
AnyCutConfig = EarthCut | FolderCut | FashionMNISTCut | EmojiCut | PointsCut | StackedMNISTCut | WebdatasetCut
FetchConfig = Annotated[AnyFetchConfig, Field(discriminator="name")]
CutConfig = Annotated[AnyCutConfig, Field(discriminator="name")]


@dataclass(frozen=True)
class SourceKind:
    """A source as the list shows it: its two sections of params, and what they are given to."""

    config: type[Section]
    cut: type[Section]
    fetch: Callable[[Any, Path, Path], None]
    open: Callable[[Path, Any], Source]
    shows: Callable[[Any, Any], Shown]
    licence: str


SOURCES: dict[str, SourceKind] = {
    "earth": SourceKind(EarthConfig, EarthCut, fetch_earth, open_earth, shows_earth, EARTH_LICENCE),
    "emoji": SourceKind(EmojiConfig, EmojiCut, fetch_emoji, open_emoji, shows_emoji, EMOJI_LICENCE),
    "fashion_mnist": SourceKind(
        FashionMNISTConfig, FashionMNISTCut, fetch_fashion, open_fashion, shows_fashion, FASHION_LICENCE
    ),
    "folder": SourceKind(FolderConfig, FolderCut, fetch_folder, open_folder, shows_folder, "that of your pictures"),
    "points": SourceKind(PointsConfig, PointsCut, fetch_points, open_points, shows_points, POINTS_LICENCE),
    "stacked_mnist": SourceKind(
        StackedMNISTConfig, StackedMNISTCut, fetch_stacked, open_stacked, shows_stacked, MNIST_LICENCE
    ),
    "webdataset": SourceKind(
        WebdatasetConfig, WebdatasetCut, fetch_webdataset, open_webdataset, shows_webdataset, "that of your tars"
    ),
}


def fetch(config: AnyFetchConfig, root: Path, cache: Path) -> None:
    """Fill root/NAME with raw pictures and source.json (origin, licence, hashes).

    Args:
        config: the `fetch` section.
        root: data/raw.
        cache: where downloads are kept between runs.

    Raises:
        Fault: a source cannot be fetched, or the folder cannot be written to.
    """
    SOURCES[config.name].fetch(config, root, cache)


def shows(fetch: AnyFetchConfig, cut: AnyCutConfig) -> Shown:
    """What samples will contain, according to the params alone."""
    return SOURCES[cut.name].shows(fetch, cut)


def open_source(root: Path, cut: AnyCutConfig) -> Source:
    """The samples of what was fetched into `root`, cut as the params say.

    Raises:
        Fault: another source, or nothing, was fetched; or its pictures do not make samples.
    """
    fetched = [name for name in SOURCES if (root / name / "source.json").is_file()]
    if fetched and cut.name not in fetched:
        raise Fault(f"shard.cut.name is {cut.name}, but fetch.name was {fetched[0]}; make them the same")
    return SOURCES[cut.name].open(root, cut)
