"""Two at once in one place: one goes on, the other says so in a line and changes nothing; readers see whole files."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from components import stage
from components.cluster import workers
from components.faults import Fault
from components.samples.domain import Domain, sized
from components.shards import cache
from components.shards.reader import Split
from components.shards.writer import write_set
from components.storage.files import read_json
from components.storage.locks import exclusive
from tests.conftest import TO_PHOTO, write_tiny
from tests.reliability.following import PATIENCE_S, REFUSED, Followed, Reader
from tests.test_graph import SMALL, start
from tests.training.helpers import small_run

PROMISE = pytest.mark.promise("19 two at once, and readers beside a run: one wins, the other says so, nothing torn")
ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from components.storage.locks import exclusive
with exclusive(Path(sys.argv[1]), "here"):
    print("inside", flush=True)
    sys.stdin.read()
"""
MAKE = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from components.storage.files import atomic_folder, write_json
Path("begun").touch()
while not Path("go").exists():
    time.sleep(0.01)
version = Path("version").read_text()
with atomic_folder(Path("data/folder")) as folder:
    for i in range(20):
        (folder / str(i)).write_text(version * 1000)
write_json(Path("data/figures.json"), dict.fromkeys(map(str, range(2000)), version))
"""
GRAPH = {
    "stages": {
        "make": {
            "cmd": f"{sys.executable} make.py",
            "deps": ["make.py", "version"],
            "outs": ["data/folder", "data/figures.json"],
        }
    }
}


def hold(lock: Path) -> subprocess.Popen[str]:
    """Another process that is inside, until it is killed or its input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "inside\n"
    return holder


@pytest.fixture
def held():
    """Hold locks in other processes until the end of the test."""
    holders: list[subprocess.Popen[str]] = []

    def begin(lock: Path) -> subprocess.Popen[str]:
        holders.append(hold(lock))
        return holders[-1]

    yield begin
    for holder in holders:
        holder.kill()
        holder.communicate()


def refusal(action: Callable[[], object]) -> str:
    """What is said to whoever comes second; empty where he is let in."""
    try:
        action()
    except Fault as fault:
        return str(fault)
    return ""


@PROMISE
def test_a_killed_holder_leaves_the_place_free(tmp_path, tally, held):
    lock = tmp_path / "place/run.lock"
    for number in range(3):
        holder = held(lock)

        def enter(patience: float) -> None:
            with exclusive(lock, "data/place", patience):
                pass

        said = refusal(partial(enter, 0.1))
        tally.count(said.startswith(f"data/place: process {holder.pid} is at work there; wait until it ends"), said)
        holder.kill()
        said = refusal(partial(enter, PATIENCE_S))
        tally.count(not said, f"round {number}: {said}")


@PROMISE
def test_a_stage_is_refused_while_another_process_runs_it(tmp_path, tally, held, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "exclusive", partial(exclusive, patience_s=0.1))
    monkeypatch.setattr(sys, "argv", ["train"])
    Path("params.yaml").write_text(yaml.safe_dump(SMALL))
    began: list[object] = []
    holder = held(tmp_path / stage.LOCKS / "train.lock")
    with pytest.raises(SystemExit) as ended:
        stage.run_stage("train", lambda *parts: began.append(parts))
    said = str(ended.value.code)
    tally.count(f"train: the stage train of {tmp_path}: process {holder.pid} is at work there" in said, said)
    tally.count("\n" not in said and not began, f"{began}")
    stage.run_stage("judge", lambda *parts: began.append(parts))
    tally.count(len(began) == 1, "another stage")


@PROMISE
def test_a_run_is_refused_while_another_process_trains_it(tmp_path, tiny_shards, tally, held, monkeypatch):
    monkeypatch.setattr(workers, "exclusive", partial(exclusive, patience_s=0.1))
    run = small_run(tiny_shards, tmp_path)
    holder = held(run.folder / workers.LOCK)
    began: list[object] = []
    said = refusal(lambda: workers.Workers.of(run).run(lambda *parts: began.append(parts), run))
    tally.count(said.startswith(f"{run.folder}: process {holder.pid} is at work there"), said)
    tally.count(not began and [path.name for path in run.folder.iterdir()] == [workers.LOCK], "its folder")


@PROMISE
def test_what_takes_a_shards_name_after_the_check_is_not_read(tmp_path, tally, monkeypatch):
    root, others = write_tiny(tmp_path / "set"), write_tiny(tmp_path / "others", counts=(24, 9, 8))
    expected = Split(root, "val").read(3)[1]["photo"]
    check = cache.check_file

    def check_and_swap(path: Path, *rest: object) -> None:
        check(path, *rest)
        (others / path.relative_to(root)).rename(path)

    monkeypatch.setattr(cache, "check_file", check_and_swap)
    swapped = Split(root, "val")
    tally.count(np.array_equal(swapped.read(3)[1]["photo"], expected), "a shard")
    tally.count(len(swapped.keys) == 8, "the index")


@PROMISE
def test_a_set_of_shards_that_is_replaced_is_read_whole_or_refused(tmp_path, tally):
    domains = {
        "photo": Domain(kind="image"),
        "labels": Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9))),
    }

    def write(version: int) -> None:
        sample = {"photo": np.full((8, 8, 3), version, np.uint8), "labels": np.zeros((8, 8), np.uint8)}
        splits = {"train": [(f"s{i}", sample) for i in range(12)]}
        write_set(
            tmp_path / "set",
            "test",
            sized(domains, (8, 8)),
            TO_PHOTO,
            splits,
            samples_per_shard=3,
        )

    def read() -> set[int]:
        split = Split(tmp_path / "set", "train")
        return {int(value) for i in range(len(split)) for value in np.unique(split.read(i)[1]["photo"])}

    write(0)
    with Reader(read) as reader:
        for version in range(1, 60):
            write(version)
    for found in reader.found:
        tally.count(len(found) == 1, f"of {found} at once")
    tally.count(not reader.torn, str(reader.torn[:3]))
    assert len(reader.found) > 5, "too few readings"


def small_graph(folder: Path) -> Path:
    """A project of one stage that writes as ours do, and waits for a file `go`."""
    (folder / "make.py").write_text(MAKE)
    (folder / "version").write_text("0")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(GRAPH))
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    return folder


@PROMISE
def test_the_second_repro_says_who_is_first_and_the_first_ends_well(tmp_path, tally):
    folder = small_graph(tmp_path)
    first = Followed(start("dvc", "repro", folder=folder))
    assert first.until((folder / "begun").exists), first.said
    second = Followed(start("dvc", "repro", folder=folder))
    tally.count(second.end() != 0 and REFUSED.search(second.said) is not None, second.said)
    tally.count(str(first.process.pid) in second.said, second.said)
    (folder / "go").touch()
    tally.count(first.end() == 0, first.said)
    tally.count(read_json(folder / "data/figures.json")["0"] == "0", "what the first made")


@PROMISE
@pytest.mark.parametrize("rounds", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_readers_beside_repro_see_whole_files(tmp_path, tally, rounds):
    folder = small_graph(tmp_path)
    (folder / "go").touch()

    def figures() -> set[str]:
        return set(json.loads((folder / "data/figures.json").read_text()).values())

    def files() -> set[str]:
        texts = [path.read_text() for path in (folder / "data/folder").iterdir()]
        assert all(len(text) == 1000 for text in texts)
        return {text[:1] for text in texts}

    with Reader(figures) as one, Reader(files) as many:
        for version in range(rounds):
            (folder / "version").write_text(str(version % 10))
            run = Followed(start("dvc", "repro", folder=folder))
            assert run.end() == 0, run.said
    for found in one.found:
        tally.count(len(found) == 1, f"figures of {found} at once")
    tally.count(not one.torn and not many.torn, str((one.torn + many.torn)[:3]))
    for found in many.found:
        tally.count(len(found) <= 1, f"files of {found} at once")
    assert len({str(found) for found in one.found}) > 1, "too few readings"
