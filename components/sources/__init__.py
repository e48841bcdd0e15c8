"""Where raw pictures come from: one file a source, and the one list of them all."""

from pathlib import Path

from components.sources.earth import EarthConfig, fetch_earth
from components.sources.earth_cut import EarthCut, open_earth
from components.sources.source import Source

FetchConfig = EarthConfig
CutConfig = EarthCut


def fetch(config: FetchConfig, root: Path, cache: Path) -> None:
    """Fill root/NAME with raw pictures and source.json (origin, licence, hashes).

    Args:
        config: the `fetch` section.
        root: data/raw.
        cache: where downloads are kept between runs.
    """
    fetch_earth(config, root, cache)


def open_source(root: Path, cut: CutConfig) -> Source:
    """The samples of what was fetched, cut as the params say."""
    return open_earth(root, cut)
