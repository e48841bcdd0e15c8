"""Fixtures that all rooms share."""

import gc
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.writer import write_set
from components.storage.home import AnyPath

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TO_PHOTO, TO_LABELS = (Task(source=a, target=b) for a, b in (("labels", "photo"), ("photo", "labels")))
TINY_CLASSES = ("water", "forest", "sand", "snow")
TINY_PALETTE = ((20, 60, 120), (30, 100, 40), (210, 190, 140), (240, 245, 250))


def tiny_sample(seed: int, size: int = 32) -> dict[str, np.ndarray]:
    """Labels in smooth blobs, and a photo whose colour and texture follow the class."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    waves = random.normal(size=(4, 3, 3))
    heights = sum(
        waves[:, i, j, None, None] * np.cos(2 * np.pi * (i * y + j * x) + waves[:, j, i, None, None])
        for i in range(3)
        for j in range(3)
    )
    labels = np.argmax(heights, axis=0).astype(np.uint8)
    stripes = np.stack([0 * x, 12 * np.sin(40 * x), 12 * np.sin(40 * y), 6 * np.sin(40 * (x + y))])
    texture = np.take_along_axis(stripes, labels[None].astype(int), 0)[0] + random.normal(0, 4, (size, size))
    photo = np.array(TINY_PALETTE, float)[labels] + texture[:, :, None]
    return {"labels": labels, "photo": photo.clip(0, 255).round().astype(np.uint8)}


def write_tiny(
    root: Path, size: int = 32, counts: tuple[int, int, int] = (24, 8, 8), store: AnyPath | None = None
) -> Path:
    """Shards of `tiny_sample`s: counts of train, val and test; 8 to a tar, in `store` if that is given."""
    domains = {
        "labels": Domain(kind="label", classes=TINY_CLASSES, palette=TINY_PALETTE),
        "photo": Domain(kind="image"),
    }
    splits = {
        split: [(f"tiny_{split}_{i:03d}", tiny_sample(1000 * s + i, size)) for i in range(counts[s])]
        for s, split in enumerate(("train", "val", "test"))
    }
    write_set(
        root,
        "tiny",
        sized(domains, (size, size)),
        TO_PHOTO,
        splits,
        samples_per_shard=8,
        store=store,
    )
    return root


KINDS = ("dark", "light", "red")


def write_kinds(root: Path, counts: tuple[int, int, int] = (24, 8, 8)) -> Path:
    """Shards of photos of three kinds, by category: counts of train, val and test."""
    domains = {"photo": Domain(kind="image"), "kind": Domain(kind="category", classes=KINDS)}
    splits = {}
    for s, split in enumerate(("train", "val", "test")):
        samples = []
        for i in range(counts[s]):
            random = np.random.default_rng(1000 * s + i)
            colour = np.array([(40, 40, 40), (210, 210, 210), (200, 40, 40)][i % 3])
            photo = (colour + random.normal(0, 20, (32, 32, 3))).clip(0, 255).astype(np.uint8)
            samples.append((f"kind_{split}_{i:03d}", {"photo": photo, "kind": np.array(i % 3, np.uint8)}))
        splits[split] = samples
    task = Task(target="photo", condition="kind")
    write_set(root, "kinds", sized(domains, (32, 32)), task, splits, samples_per_shard=8)
    return root


@pytest.fixture(scope="module", autouse=True)
def no_registry_of_another_file() -> Iterator[None]:
    """MLflow leaves the address of its store in the environment, where the processes that tests start would find it."""
    before = os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if before is not None:
        os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.fixture(scope="session")
def tiny_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of three kinds (`write_kinds`); to be read, not changed."""
    return write_kinds(tmp_path_factory.mktemp("kinds") / "shards")


STYLES = ("soft", "hard")


def write_styles(root: Path, counts: tuple[int, int, int] = (12, 4, 4), alike: bool = True) -> Path:
    """Shards of things in two styles, each thing in both: so many things to train on, for val and to test on.

    Args:
        alike: whether the manifest says that keys tell which pictures show one thing.
    """
    domains = {"picture": Domain(kind="image"), "style": Domain(kind="category", classes=STYLES, in_key=alike)}
    splits = {}
    for s, split in enumerate(("train", "val", "test")):
        samples = []
        for i in range(counts[s]):
            random = np.random.default_rng(1000 * s + i)
            soft = np.broadcast_to(random.integers(60, 200, 3), (32, 32, 3)) + random.normal(0, 10, (32, 32, 3))
            hard = np.where(np.arange(32)[:, None, None] % 8 < 4, soft, 255 - soft)
            for kind, drawn in enumerate((soft, hard)):
                picture = drawn.clip(0, 255).astype(np.uint8)
                key = f"{split}_{i:02d}-{STYLES[kind]}"
                samples.append((key, {"picture": picture, "style": np.array(kind, np.uint8)}))
        splits[split] = samples
    task = Task(target="picture", condition="style")
    write_set(root, "styles", sized(domains, (32, 32)), task, splits, samples_per_shard=8)
    return root


def write_sides(root: Path) -> Path:
    """Shards without pairs: 20 labels and 14 photos to train on, 3 and 4 for val, 6 and 9 to test on."""
    domains = {
        "labels": Domain(kind="label", classes=TINY_CLASSES, palette=TINY_PALETTE),
        "photo": Domain(kind="image"),
    }
    counts = {"train": (20, 14), "val": (3, 4), "test": (6, 9)}
    splits = {
        f"{split}/{name}": [
            (f"{split}_{name}_{i:02d}", {name: tiny_sample(10_000 * (1 + s) + 1000 * side + i)[name]})
            for i in range(counts[split][side])
        ]
        for s, split in enumerate(counts)
        for side, name in enumerate(domains)
    }
    write_set(root, "tiny", sized(domains, (32, 32)), TO_PHOTO, splits, samples_per_shard=8)
    return root


@pytest.fixture(scope="session")
def tiny_sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels and photos of different samples (`write_sides`); to be read, not changed."""
    return write_sides(tmp_path_factory.mktemp("sides") / "shards")


@pytest.fixture(scope="session")
def tiny_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 train, 8 val and 8 test samples of 32x32, labels (4 classes) and photo; to be read, not changed."""
    return write_tiny(tmp_path_factory.mktemp("tiny") / "shards")


@pytest.fixture(scope="session")
def tiny_shards_64(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at 64x64."""
    return write_tiny(tmp_path_factory.mktemp("tiny64") / "shards", size=64)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A headless Chromium: that of the machine, or the one of `playwright install chromium`."""
    from playwright.sync_api import sync_playwright  # a machine with a GPU may do without

    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine; `playwright install chromium` brings one")
        # As root, in a container, Chromium's own sandbox does not start; what it shows here is our own pages.
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def tiny_sizes(tiny_shards: Path, tiny_shards_64: Path) -> dict[int, Path]:
    """Both, by the side of their pictures."""
    return {32: tiny_shards, 64: tiny_shards_64}


@pytest.fixture(scope="module", autouse=True)
def no_litter(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a library leaves its sockets to the collector, and a file says so by a filter, they are collected with it.

    Else they would be found in a test of another file, which has no such filter.
    """
    yield
    items = [item for item in request.session.items if request.node in item.iter_parents()]
    marks = [mark for item in items for mark in item.iter_markers("filterwarnings")]
    if any("ResourceWarning" in text for mark in marks for text in mark.args):
        collect_unclosed()


def collect_unclosed() -> None:
    """Collect what libraries have left unclosed, without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Put sys.path back after each test.

    MLflow leaves the code of a version that it loads there: a package `components` with less in it, which the processes
    that a later test starts would import in place of the project's.
    """
    before = list(sys.path)
    try:
        return (yield)
    finally:
        sys.path[:] = before
