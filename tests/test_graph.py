"""The whole graph through DVC itself, on small pictures made here and by params alone."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import TINY_CLASSES, TINY_PALETTE, tiny_sample

ROOT = Path(__file__).parent.parent
STAGES = ["fetch", "shard", "judge", "tune", "train", "generate", "evaluate", "register", "report"]
SMALL = {
    "fetch": {
        "name": "folder",
        "path": "pictures",
        "layout": "side_by_side",
        "direction": "BtoA",
        "a": {"name": "photo"},
        "b": {"name": "labels", "palette": dict(zip(TINY_CLASSES, map(list, TINY_PALETTE), strict=True))},
    },
    "shard": {"cut": {"name": "folder", "image_size": [32, 40]}},
    "judge": {
        "system": {"name": "fcn8s", "width": 2},
        "train": {"steps": 2, "batch_size": 4, "checkpoint_every": 2},
    },
    "tune": {
        "space": {"system.lambda_l1": {"loguniform": [1, 300]}, "train.learning_rate": {"choice": [1.0e-4, 1.0e-3]}},
        "num_trials": 0,
        "max_steps": 4,
        "grace_steps": 2,
        "reduction_factor": 2,
    },
    "system": {
        "name": "pix2pix",
        "patch_size": 16,
        "generator": {"name": "texture_unet", "widths": [4, 8, 8]},
        "discriminator": {"width": 4, "norm": "none"},
    },
    "train": {"num_workers": 0, "steps": 4, "batch_size": 4, "checkpoint_every": 2, "log_every": 1},
    "generate": {},
    "evaluate": {"num_bootstrap": 40, "is_splits": 2},
    "register": {"model": "tiny"},
    "review": {},
    "report": {},
}


def start(module: str, *arguments: str, folder: Path, path: str = "/usr/bin:/bin") -> subprocess.Popen[str]:
    """Begin `python -m MODULE` in a folder, as a group of its own, by a person who has activated no environment."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


class Project:
    """A copy of the project with pictures of its own, driven by the dvc command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("components", "pipelines", "data/study"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dvc.yaml", ".dvcignore"):
            shutil.copy(ROOT / name, folder / name)
        (folder / ".dvc").mkdir()
        (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
        self.params = SMALL
        self.write_params()
        for split, count in (("train", 16), ("val", 6), ("test", 6)):
            (folder / "pictures" / split).mkdir(parents=True)
            for index in range(count):
                sample = tiny_sample(1000 * ("train", "val", "test").index(split) + index)
                labels = np.asarray(TINY_PALETTE, np.uint8)[sample["labels"]]
                pair = Image.fromarray(np.concatenate([sample["photo"], labels], axis=1))
                pair.save(folder / "pictures" / split / f"{index}.png")

    def set(self, path: str, value: object) -> None:
        section, key = path.split(".")
        self.params = self.params | {section: self.params[section] | {key: value}}
        self.write_params()

    def write_params(self) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return start("dvc", *arguments, folder=self.folder)

    def repro(self) -> str:
        process = self.start("repro")
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        return output


def ran(output: str) -> list[str]:
    """The stages that a repro ran, in order."""
    return re.findall(r"Running stage '(\w+)'", output)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """In a folder that is called as people call theirs."""
    return Project(tmp_path_factory.mktemp("my project #1 (größer & neu)"))


def test_the_graph_runs_and_then_has_nothing_to_do(project):
    assert ran(project.repro()) == STAGES
    assert (project.folder / "data/report/index.html").stat().st_size > 10_000
    began = time.perf_counter()
    assert ran(project.repro()) == []
    assert time.perf_counter() - began < 10


def test_every_figure_of_the_training_has_a_plot(project):
    process = project.start("plots", "show", "--json")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    shown = {Path(name).stem for name in json.loads(output)["data"]} if "data" in output else set()
    columns = [
        f"{part}.{name}"
        for part, table in (("terms", "curves.csv"), ("validation", "validation.csv"))
        for name in (project.folder / "data/runs" / table).read_text().splitlines()[0].split(",")[1:]
    ]
    assert shown == set(columns), output


def test_a_param_reruns_its_stage_and_what_follows(project):
    project.set("evaluate.seed", 7)
    # The objective of a search is a figure of evaluate; train goes by its winner, which is the same.
    assert sorted(ran(project.repro()), key=STAGES.index) == ["tune", *STAGES[STAGES.index("evaluate") :]]


@pytest.mark.slow  # tests/search has the search and its winner, without DVC
def test_a_search_hands_its_winner_to_train_and_none_passes_the_params_through(project):
    before = (project.folder / "params.yaml").read_text()
    project.set("tune.num_trials", 3)
    # Where the params as they stood have won, train gives what it gave, and generate has nothing to do.
    executed = ran(project.repro())
    assert executed[:2] == ["tune", "train"]
    assert executed[-2:] == ["register", "report"]
    winner = yaml.safe_load((project.folder / "data/tune/winner.yaml").read_text())
    summary = json.loads((project.folder / "data/tune/search.json").read_text())
    assert summary["trials"] == 3
    assert summary["figure"] == "fcn_class_iou"
    trained = json.loads((project.folder / "data/runs/run.json").read_text())
    assert trained["system"]["lambda_l1"] == winner["system"]["lambda_l1"]
    assert trained["train"]["learning_rate"] == winner["train"]["learning_rate"]
    assert trained["train"]["steps"] == 4
    assert "The search before the training" in (project.folder / "data/report/index.html").read_text()
    project.set("tune.num_trials", 0)
    assert (project.folder / "params.yaml").read_text() == before
    project.repro()
    assert yaml.safe_load((project.folder / "data/tune/winner.yaml").read_text()) == {}
    assert "The search before the training" not in (project.folder / "data/report/index.html").read_text()


def test_a_killed_training_goes_on_where_it_stood_and_nothing_before_it_reruns(project):
    project.set("system.lambda_l1", 50)
    project.set("train.steps", 200)
    project.set("train.checkpoint_every", 20)
    known = set((project.folder / ".pix2pipe/runs").iterdir())
    process = project.start("repro")
    deadline, checkpoints = time.time() + 120, []
    while not checkpoints:
        assert time.time() < deadline
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
        for folder in set((project.folder / ".pix2pipe/runs").iterdir()) - known:
            checkpoints = list(folder.glob("checkpoints/step_*/checkpoint.json"))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (project.folder / "data/runs/run.json").exists()
    output = project.repro()
    assert ran(output) == STAGES[STAGES.index("train") :]
    assert "train pix2pix (resumed)" in output
    curves = (project.folder / "data/runs/curves.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in curves[1:]] == list(range(1, 201))


@pytest.mark.slow  # tests/test_directions.py has both directions, without DVC
def test_the_other_direction_needs_no_new_shards(project):
    project.set("train.task", {"source": "photo", "target": "labels"})
    project.set("train.steps", 4)
    project.set("train.checkpoint_every", 2)
    assert ran(project.repro()) == STAGES[STAGES.index("tune") :]
    metrics = json.loads((project.folder / "data/metrics/rows.json").read_text())["photo_to_labels"]
    assert 0 <= metrics["rows"]["model"]["labels_pixel_accuracy"]["value"] <= 1
    assert "fcn" in metrics["skipped"]


@pytest.mark.slow  # tests/test_early.py holds the names of params that DVC would drop, and what a stage compares
def test_another_size_cuts_the_shards_anew_though_both_were_cut_before(project):
    def size_after(side: int) -> int:
        project.set("shard.cut", {"name": "folder", "image_size": side})
        process = project.start("repro", "shard")
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return json.loads((project.folder / "data/shards/manifest.json").read_text())["domains"]["photo"]["size"][0]

    assert [size_after(side) for side in (64, 32, 64)] == [64, 32, 64]
    project.set("shard.cut", {"name": "folder", "image_size": 32})  # and a stage by hand, on what is there
    stage = start("pipelines.judge", folder=project.folder)
    output, _ = stage.communicate(timeout=120)
    assert stage.returncode == 1
    assert "shard.cut.image_size" in output
    assert "Traceback" not in output
    assert size_after(32) == 32


def test_a_misspelt_param_stops_the_first_stage_that_would_run_in_one_line(project):
    project.set("train.stepz", 3)
    process = project.start("repro")
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "params.yaml: train.stepz: no such param; did you mean steps? valid here: " in output
    assert "Traceback" not in output
