"""fetch: raw pictures into data/raw."""

from pathlib import Path

from components.params import Params
from components.sources import fetch
from components.stage import Clock, run_stage
from components.storage.home import LOCAL

RAW = Path("data/raw")
CACHE = LOCAL / "cache"


def main(params: Params, clock: Clock) -> None:
    """Fetch the raw pictures of the source that `fetch.name` says."""
    with clock.part("fetch"):
        fetch(params.fetch, RAW, CACHE)


if __name__ == "__main__":
    run_stage("fetch", main)
