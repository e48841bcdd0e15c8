"""Corrupt objects in DVC's cache: `pix2pipe verify` names every one of them and nothing else, and its advice mends."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from components.faults import Fault
from components.storage.dvc_cache import verify_cache
from pipelines import cli

PROMISE = pytest.mark.promise(
    "17 corrupt objects in the DVC cache: `pix2pipe verify` names every one, and how to mend it"
)
FILES = 40
STAGE = f"""
from pathlib import Path

folder = Path("data/folder")
(folder / "sub").mkdir(parents=True, exist_ok=True)
for i in range({FILES}):
    (folder / f"sub/{{i}}.txt").write_text(f"file {{i}}\\n" * (1 + i * 7))
(folder / "twice.txt").write_text("file 0\\n")
Path("data/alone.json").write_text("{{}}\\n")
"""
GRAPH = {"stages": {"make": {"cmd": "python make.py", "deps": ["make.py"], "outs": ["data/folder", "data/alone.json"]}}}


def dvc(folder: Path, *arguments: str) -> None:
    """Run DVC as a person does."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120, env=environment)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose one stage has run."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "make.py").write_text(STAGE)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(GRAPH))
    dvc(folder, "init", "--no-scm", "-q")
    dvc(folder, "repro", "-q")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "project", symlinks=True)


def objects(project: Path) -> list[Path]:
    return sorted((project / ".dvc/cache/files/md5").glob("??/*"))


def flip(path: Path, random: np.random.Generator) -> None:
    data = bytearray(path.read_bytes())
    data[random.integers(len(data))] ^= 1 << int(random.integers(8))
    path.write_bytes(data)


def cut(path: Path, random: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes()[: random.integers(path.stat().st_size)])


def lengthen(path: Path, random: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes() + random.bytes(int(random.integers(1, 9))))


def another(path: Path, random: np.random.Generator) -> None:
    """The bytes of another object in its place."""
    others = [other for other in objects(path.parents[5]) if other.name != path.name and other.is_file()]
    good = path.read_bytes()
    data = next(data for data in (other.read_bytes() for other in random.permutation(others)) if data != good)
    path.write_bytes(data)


def folder_there(path: Path, random: np.random.Generator) -> None:
    path.unlink()
    path.mkdir()


def loose_link(path: Path, random: np.random.Generator) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def pipe(path: Path, random: np.random.Generator) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: list[Callable[[Path, np.random.Generator], None]] = [
    flip, cut, lengthen, another, folder_there, loose_link, pipe
]  # fmt: skip


def damage(path: Path, how: Callable[[Path, np.random.Generator], None], random: np.random.Generator) -> None:
    path.chmod(0o644)
    how(path, random)
    if path.is_file():
        path.chmod(0o444)  # as DVC leaves an object, and from then on trusts it


@PROMISE
@pytest.mark.parametrize("rounds", [14, pytest.param(300, marks=pytest.mark.slow)])
def test_every_corrupt_object_is_named_and_no_other(tally, project: Path, tmp_path: Path, rounds: int) -> None:
    cache = project / ".dvc/cache"
    shutil.copytree(cache, tmp_path / "good")
    whole, faults = verify_cache(project)
    tally.count(not faults and f"{FILES + 2} of {FILES + 2} objects are whole" in whole[0], "a whole cache")
    for number in range(rounds):
        random = np.random.default_rng(number)
        shutil.rmtree(cache)
        shutil.copytree(tmp_path / "good", cache)
        everything = objects(project)
        chosen = random.choice(len(everything), size=int(random.integers(1, 9)), replace=False)
        damaged = {everything[i]: DAMAGE[int(random.integers(len(DAMAGE)))] for i in chosen}
        for path, how in damaged.items():
            damage(path, how, random)
        told = {Path(line.partition(": ")[0]): line for line in verify_cache(project)[1]}
        for path, how in damaged.items():
            line = told.pop(path, "")
            said = "is corrupt" in line and "remove it" in line and "\n" not in line
            tally.count(said, f"round {number}: {how.__name__} of {path.name}")
            if not any(other.suffix == ".dir" for other in damaged):  # whose list says what lies in the folder
                owned = "of stage make" in line and "`dvc pull make`" in line and "`dvc repro make`" in line
                tally.count(owned, f"round {number}: the owner of {path.name}")
        tally.count(not told, f"round {number}: whole objects named")


@PROMISE
@pytest.mark.slow
@pytest.mark.parametrize("remedy", ["pull", "repro"])
def test_the_advice_mends_it(tally, project: Path, remedy: str) -> None:
    """Followed to the letter, in a workspace that DVC has checked out from the corrupt cache without a word."""
    if remedy == "pull":
        dvc(project, "remote", "add", "-q", "-d", "store", str(project / "remote"))
        dvc(project, "push", "-q")
    expected = contents(project / "data")
    listing = next(path for path in objects(project) if path.suffix == ".dir")
    for path in [path for path in objects(project) if path != listing][:3]:
        damage(path, flip, np.random.default_rng(0))
    shutil.rmtree(project / "data")
    dvc(project, "checkout")
    assert contents(project / "data") != expected, "DVC finds it by itself: nothing was tried"
    damage(listing, cut, np.random.default_rng(0))
    while faults := verify_cache(project)[1]:
        for line in faults:
            path, output = re.fullmatch(r"(\S+): is corrupt.* remove it and (\S+), then run.*|.*", line).groups()
            if output is None:  # while the list of a folder is corrupt, nobody knows whose the objects are
                path = line.partition(": ")[0]
            Path(path).unlink()
            if output and (project / output).is_dir():
                shutil.rmtree(project / output)
            elif output:
                (project / output).unlink(missing_ok=True)
        dvc(project, remedy, "make")
    tally.count(verify_cache(project)[1] == [], f"{remedy}: the cache")
    tally.count(contents(project / "data") == expected, f"{remedy}: the outputs")


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@PROMISE
def test_the_command_ends_in_1_and_names_each(tally, project, tiny_shards, monkeypatch, capsys) -> None:
    monkeypatch.chdir(project)
    shutil.copytree(tiny_shards, project / "data/shards")
    cli.main(["verify"])
    out = capsys.readouterr().out
    tally.count("24 samples in 3 shards" in out and "objects are whole" in out, "a whole cache")
    two = [path for path in objects(project) if path.suffix != ".dir"][:2]
    for path in two:
        damage(path, cut, np.random.default_rng(0))
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify"])
    # a text as its code is printed on stderr, and the status is 1
    lines = str(ended.value.code).splitlines()
    tally.count(len(lines) == 2 and all(str(path) in text for path, text in zip(two, lines, strict=True)), "two")
    cli.main(["verify", "data/shards"])  # these alone were asked for
    stranger = project / ".dvc/cache/files/md5/00" / ("0" * 30)
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_bytes(b"of no output")
    line = next(line for line in verify_cache(project)[1] if str(stranger) in line)
    tally.count("of no output known here; remove it" in line, "an object of nothing")
    (project / "dvc.lock").write_text("stages: [1]\n")
    with pytest.raises(Fault, match="not what DVC writes"):
        verify_cache(project)


def test_where_there_is_no_dvc_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert verify_cache(tmp_path) == ([], [])
