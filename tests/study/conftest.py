"""Two algorithms on 64 test samples, for all tests of the study."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from components.study.algorithms import Algorithm
from components.study.client import Client
from components.study.shown import ShownPictures
from tests.conftest import write_tiny
from tests.study.helpers import open_tiny


@pytest.fixture(scope="session")
def study_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 test samples of 32x32; to be read, not changed."""
    return write_tiny(tmp_path_factory.mktemp("study") / "shards", counts=(8, 8, 64))


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory, study_shards: Path) -> tuple[list[Algorithm], ShownPictures]:
    """One algorithm and its pictures."""
    return open_tiny(tmp_path_factory.mktemp("one"), study_shards)


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory, study_shards: Path) -> tuple[list[Algorithm], ShownPictures]:
    """Two algorithms and their pictures."""
    return open_tiny(tmp_path_factory.mktemp("two"), study_shards, 2)


@pytest.fixture
def browse() -> Iterator[Callable[..., Client]]:
    """Makes clients, and closes them in the end."""
    with ExitStack() as opened:
        yield lambda port, cookie=None: opened.enter_context(closing(Client(port, cookie)))
