"""One seed gives the same weights bitwise, however its batches are made; another gives others."""

from itertools import product
from pathlib import Path

import pytest

from components.training.group import Group
from components.training.loop import fit
from tests.reliability import ranks
from tests.reliability.state import contents, differences, run_as
from tests.reliability.test_kills import train

PROMISE = pytest.mark.promise("22 the same seed: the same weights bitwise, with any number of loader threads")
WAY = "pix2pix, BatchNorm a rank and dropout"
SETTINGS = {"steps": 6, "checkpoint_every": 6, "augment": {"resize": 36, "vertical_flip": True}}
LOADERS = [
    {"loader_threads": threads, "prefetch": prefetch, "cache_mb": cache}
    for threads, prefetch, cache in product((1, 2, 4), (1, 3), (0, 64))
]


def trained(way: str, shards: dict[int, Path], root: Path, **settings: object) -> dict:
    """All that the last checkpoint of a run holds."""
    run = run_as(way, shards, root, **SETTINGS | settings)
    fit(run, Group())
    return contents(run.checkpoints.last())


@PROMISE
@pytest.mark.parametrize("way", [WAY, pytest.param("cyclegan", marks=pytest.mark.slow)])
def test_any_number_of_loader_threads_gives_the_same_weights(tiny_sizes, tmp_path, tally, way):
    first = trained(way, tiny_sizes, tmp_path / "first")
    loaders = LOADERS[::5] if way == WAY else LOADERS
    for number, loader in enumerate(loaders):
        again = trained(way, tiny_sizes, tmp_path / str(number), **loader)
        tally.count(not differences(first, again), f"{way}: {loader}")
    other = trained(way, tiny_sizes, tmp_path / "other", seed=1)
    assert all(place in differences(first, other) for place in first if str(place[-1]).endswith(".weight"))


@PROMISE
@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_in_other_processes_too(tiny_sizes, tmp_path, tally, world):
    runs = [run_as(WAY, tiny_sizes, tmp_path / str(i), **SETTINGS, loader_threads=1 + i) for i in range(2)]
    for run in runs:
        ranks.together(world, tmp_path, train, run)
    one, two = (contents(run.checkpoints.last()) for run in runs)
    tally.count(not differences(one, two), f"{world} ranks")
