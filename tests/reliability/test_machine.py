"""What the machine refuses, and what stands in a file's place: a stage ends with one line that names it, and soon."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.storage.outputs import RECORDS
from tests.reliability.machine import ended, fill, may_mount, small_disk
from tests.test_graph import STAGES, Project

pytestmark = pytest.mark.slow  # a whole graph, and some sixty stages after it
PROMISE = pytest.mark.promise(
    "32 a full, closed or odd place on the disk: one line that names it, no traceback, no wait"
)
DISK_KB = 60_000
WORK = Path(".pix2pipe")
# What each place is for: a stage that reads or writes it.
PLACES = {
    "params.yaml": "fetch",
    "dvc.yaml": "fetch",
    "pictures/train/1.png": "fetch",
    "data/raw/folder/pictures/train/1.png": "shard",
    "data/shards/manifest.json": "judge",
    "data/shards/index.parquet": "judge",
    "data/tune/winner.yaml": "train",
    "data/runs/run.json": "generate",
    "data/generated/labels_to_photo/test/00000.tar": "evaluate",
    "data/judge/judge.json": "evaluate",
    ".pix2pipe/mlflow.db": "register",
    "dvc.lock": "register",
    "data/metrics/headline.json": "register",
    "data/registered/version.json": "report",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose graph has run; to be copied."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.repro()
    return project.folder


def copied(finished: Path, folder: Path) -> Path:
    return shutil.copytree(finished, folder, symlinks=True, ignore=shutil.ignore_patterns("components", "pipelines"))


def fresh(folder: Path) -> None:
    """Take away what earlier runs have kept, so that a stage does all its work again."""
    for place in (folder / WORK).iterdir():
        if place.name != RECORDS.name:
            shutil.rmtree(place) if place.is_dir() else place.unlink()


@PROMISE
@pytest.mark.skipif(not may_mount(Path("/tmp")), reason="needs the right to mount a disk")
@pytest.mark.parametrize("stage", ["shard", "judge", "train", "generate", "evaluate", "register"])
def test_a_disk_that_is_full(finished, tmp_path, tally, stage):
    """Each run ends well or is refused, in which case it says why; with room again, it ends well."""
    with small_disk(tmp_path / "disk", DISK_KB) as disk:
        folder, refused = copied(finished, disk / "project"), 0
        fresh(folder)
        for leave in (0, 4, 40, 400):
            (disk / "fill").unlink(missing_ok=True)
            fill(disk, leave)
            end = ended(folder, stage)
            held = end.refused("no space left", "free some") or (end.status == 0 and leave > 4)
            tally.count(held, f"{stage} with {leave} kB: {end}")
            refused += end.status != 0
        (disk / "fill").unlink()
        end = ended(folder, stage)
        tally.count(end.status == 0 and refused > 0, f"{stage} with room again: {end}")


@PROMISE
@pytest.mark.parametrize("place", ["data", ".pix2pipe"])
@pytest.mark.parametrize("stage", ["shard", "train", "register"])
def test_a_folder_that_is_closed(finished, tmp_path, tally, stage, place):
    folder = copied(finished, tmp_path / "project")
    for path in (folder / place, *(folder / place).rglob("*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    end = ended(folder, stage, obeying=True)
    tally.count(end.refused(place, "Permission denied"), f"{stage}, {place}: {end}")
    for path in (folder / place, *(folder / place).rglob("*")):
        path.chmod(0o700)


@PROMISE
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_stands_in_the_place_of_a_file(finished, tmp_path, tally, kind):
    make: dict[str, Callable[[Path], object]] = {
        "pipe": os.mkfifo,
        "link": lambda path: path.symlink_to("/nowhere/at/all"),
        "folder": lambda path: path.mkdir(),
    }
    folder = copied(finished, tmp_path / "project")
    for name, stage in PLACES.items():
        if kind == "folder" and name == "pictures/train/1.png":
            continue  # a folder may be called so
        aside = (folder / name).rename(folder / "aside")
        make[kind](folder / name)
        end = ended(folder, stage)
        tally.count(end.refused(name), f"{kind} at {name}: {end}")
        (folder / name).rmdir() if kind == "folder" else (folder / name).unlink()
        aside.rename(folder / name)


@PROMISE
@pytest.mark.parametrize("name", ["data", "data/shards", "data/runs", ".pix2pipe/runs", ".pix2pipe/outputs"])
def test_a_file_in_the_place_of_a_folder(finished, tmp_path, tally, name):
    folder = copied(finished, tmp_path / "project")
    shutil.rmtree(folder / name)
    (folder / name).write_text("in the way")
    end = ended(folder, "train")
    tally.count(end.refused(name), f"{name}: {end}")


@PROMISE
@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_no_home_and_a_temporary_folder_that_is_none_are_no_trouble(finished, tmp_path, tally, home):
    folder = copied(finished, tmp_path / "project")
    for stage in STAGES[STAGES.index("generate") :]:
        end = ended(folder, stage, environment={"HOME": home, "TMPDIR": "/nonexistent"})
        tally.count(end.status == 0, f"{stage}: {end}")


@PROMISE
def test_a_folder_in_which_the_registry_could_not_be_is_refused_by_the_first_stage(finished, tmp_path, tally):
    for name in ("what?", "a%41b"):
        end = ended(copied(finished, tmp_path / name), "fetch")
        tally.count(end.refused(name), f"{name}: {end}")
