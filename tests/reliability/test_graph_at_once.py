"""The whole graph, begun twice; a training begun twice; a training that has outlived its DVC; readers beside them."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from components.shards.manifest import Manifest
from components.storage.files import write_text
from components.training import log
from tests.reliability.following import REFUSED, Followed, Reader
from tests.reliability.test_two_at_once import PROMISE
from tests.test_graph import Project, ran, start

STEPS = 120


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A graph that has run."""
    made = Project(tmp_path_factory.mktemp("project"))
    made.set("train.steps", STEPS)
    made.set("train.checkpoint_every", 20)
    made.repro()
    return made


def run_json(project: Project) -> dict:
    return json.loads((project.folder / "data/runs/run.json").read_text())


def run_folder(project: Project) -> Path:
    return project.folder / ".pix2pipe/runs" / run_json(project)["key"]


@pytest.mark.slow
@PROMISE
@pytest.mark.parametrize("rounds", [6])
def test_a_training_begun_twice_is_trained_once(tmp_path, tiny_shards, tally, rounds):
    project, chance = Project(tmp_path / "project"), random.Random(19)
    project.set("train.steps", STEPS)
    project.set("train.checkpoint_every", 20)
    shutil.copytree(tiny_shards, project.folder / "data/shards")
    of_folder = Manifest.read(tiny_shards).model_copy(update={"source": "folder"})  # as the project's params ask
    of_folder.write(project.folder / "data/shards")
    write_text(project.folder / "data/tune/winner.yaml", "{}\n")
    assert Followed(start("pipelines.train", folder=project.folder)).end() == 0
    expected, folder = run_json(project), run_folder(project)
    for number in range(rounds):
        for made in (folder, project.folder / "data/runs"):
            shutil.rmtree(made)
        first = Followed(start("pipelines.train", folder=project.folder))
        time.sleep(chance.random() * 4 * (number > 0))  # the first time, both at one moment
        second = Followed(start("pipelines.train", folder=project.folder))
        both = {one.end(): one.said for one in (first, second)}
        tally.count(0 in both, f"round {number}: none won: {both}")
        if len(both) == 2:  # else the first had ended when the second began
            lines = [line for line in both.get(1, "").splitlines() if line.startswith("train: ")]
            said = bool(lines) and "is at work there; wait until it ends" in lines[-1] and "Traceback" not in both[1]
            tally.count(said, f"round {number}: {both}")
        steps = [record["step"] for record in log.read(folder) if "terms" in record]
        tally.count(steps == list(range(1, STEPS + 1)), f"round {number}: steps {steps}")
        tally.count(run_json(project) == expected, f"round {number}: another result")


@pytest.mark.slow
@PROMISE
def test_a_training_that_outlives_its_dvc_is_not_trained_beside(project, tally):
    project.set("train.seed", 100)
    known = set((project.folder / ".pix2pipe/runs").iterdir())
    first = Followed(project.start("repro"))

    def trains() -> bool:
        new = set((project.folder / ".pix2pipe/runs").iterdir()) - known
        return any(log.read(folder) for folder in new)

    assert first.until(trains), first.said
    os.kill(first.process.pid, signal.SIGSTOP)  # what DVC leaves when it alone is killed, but for longer
    lock = next(iter((project.folder / ".pix2pipe/locks").glob("train.lock")))
    trainer = int(lock.read_text())
    os.kill(trainer, signal.SIGSTOP)
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    second = Followed(project.start("repro"))
    refused = second.end() != 0 and f"process {trainer} is at work there" in second.said
    tally.count(refused and "Traceback" not in second.said, second.said)
    os.kill(trainer, signal.SIGCONT)
    first.end()
    output = project.repro()
    tally.count(ran(output)[0] == "train" and "(resumed)" in output, output)
    run = next(
        folder for folder in (project.folder / ".pix2pipe/runs").iterdir() if folder.name == run_json(project)["key"]
    )
    steps = [record["step"] for record in log.read(run) if "terms" in record]
    tally.count(steps == list(range(1, STEPS + 1)), f"steps {steps}")


@pytest.mark.slow
@PROMISE
def test_the_graph_begun_by_several_at_once_beside_readers(project, tally):
    chance, data = random.Random(91), project.folder / "data"

    def page() -> bool:
        text = (data / "report/index.html").read_text()
        return text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")

    def metrics() -> bool:
        return bool(json.loads((data / "metrics/rows.json").read_text()))

    with Reader(page) as pages, Reader(metrics) as figures:
        for number in range(4):
            project.set("train.seed", number + 1)
            began, runs = time.monotonic(), [Followed(project.start("repro"))]
            for moment in sorted(chance.random() * 25 * (number > 0) for _ in range(3)):
                time.sleep(max(0.0, began + moment - time.monotonic()))
                runs.append(Followed(project.start("repro")))
            ends = [run.end() for run in runs]
            tally.count(0 in ends, f"round {number}: none won: {[run.said[-300:] for run in runs]}")
            for run, status in zip(runs, ends, strict=True):
                said = status == 0 or (REFUSED.search(run.said) is not None and "Traceback" not in run.said)
                tally.count(said, f"round {number}: {status}, {run.said[-600:]}")
            tally.count(ran(project.repro()) == [], f"round {number}: something was left to do")
    for reader in (pages, figures):
        tally.count(not reader.torn, str(reader.torn[:3]))
        for whole in reader.found:
            tally.count(bool(whole), "not whole")
    assert len(pages.found) > 10
