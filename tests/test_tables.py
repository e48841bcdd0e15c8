"""The papers' tables on tiny shards: cells, what they share, and what is refused."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from components.faults import Fault
from components.params import load_tables, run_params
from components.shards.manifest import Manifest
from components.stage import Clock
from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.judge import export_judge
from components.systems.system import Shape
from components.tables.cell import plan_cell
from components.training.trainer import Trainer
from pipelines import cell, tables
from tests.conftest import TO_LABELS

ROOT = Path(__file__).parent.parent
OWN = sorted(path.name for path in (ROOT / "tables").glob("*.yaml") if path.name != "dvc.yaml")
SMALL = {
    "cells": {"run": ["l1", "l1_cgan"], "seed": [0, 1]},
    "system": {
        "name": "pix2pix",
        "patch_size": 16,
        "generator": {"name": "texture_unet", "widths": [4, 8], "shortcut": 0},
        "discriminator": {"width": 4, "norm": "none"},
    },
    "train": {"steps": 4, "batch_size": 4, "checkpoint_every": 2, "log_every": 1},
    "generate": {},
    "evaluate": {"num_bootstrap": 40, "is_splits": 2},
    "best": False,
    "pictures": 3,
    "runs": {
        "l1": {"system.lambda_adversarial": 0},
        "l1_cgan": {},
        "same": {"system.patch_size": 16},
        "never": {"system.patch_size": 1},
        "both_ways": {
            "system": {
                "name": "cyclegan",
                "lambda_identity": 0,
                "generator": {"name": "resnet", "width": 2, "blocks": 1},
                "discriminator": {"width": 4},
                "patch_size": 16,
            },
            "train.labels": "colour",
        },
    },
    "tables": {
        "objectives": {
            "title": "Objectives",
            "direction": "labels_to_photo",
            "figures": ["fcn_class_iou", "fid_efficientnet_lite0", "kid_efficientnet_lite0"],
            "published": ["IoU"],
            "rows": {
                "L1": {"run": "l1", "paper": [0.11]},
                "L1+cGAN": {"run": "l1_cgan", "paper": [0.17]},
                "1x1": {"run": "never"},
                "real photos": {"reference": "real", "paper": [0.21]},
            },
            "orderings": ["L1+cGAN > L1 by fcn_class_iou", "L1 > 1x1 by fid_efficientnet_lite0"],
        }
    },
}


def write(folder: Path, values: dict) -> Path:
    path = folder / "tables/params.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def changed(path: str, value: object) -> dict:
    """SMALL with another value at a path of keys."""
    values = json.loads(json.dumps(SMALL))
    *parents, name = path.split("/")
    place = values
    for parent in parents:
        place = place[parent]
    place[name] = value
    return values


@pytest.fixture(scope="module")
def data(tiny_shards, tmp_path_factory):
    """A project's data/shards and data/judge; the judge is untrained, and its figures are figures all the same."""
    folder = tmp_path_factory.mktemp("tables")
    shutil.copytree(tiny_shards, folder / "data/shards")
    domains = Manifest.read(tiny_shards).domains
    torch.manual_seed(0)
    config = FCN8sConfig(width=2)
    weights = dict(fcn8s(config, Shape(domains["photo"], domains["labels"])).networks.state_dict())
    ends = {
        "source": domains["photo"],
        "target": domains["labels"],
        "task": TO_LABELS,
    }
    export_judge(folder / "data/judge", weights, system=config, manifest="m", key="k", **ends)
    return folder


@pytest.fixture
def project(data, monkeypatch):
    monkeypatch.chdir(data)
    return data


def run_cell(params: Path, run: str, seed: int) -> dict:
    cell.main(params, run, seed, Clock("cell"))
    return json.loads(Path(f"tables/data/cells/{run}-{seed}.json").read_text())


@pytest.mark.parametrize(
    "file", sorted(path.name for path in (ROOT / "tables").glob("*.yaml") if path.name != "dvc.yaml")
)
def test_the_projects_own_tables_are_valid_and_no_run_is_there_twice(file):
    params = load_tables(ROOT / "tables" / file)
    used = [row.run for table in params.tables.values() for row in table.rows.values() if row.run]
    assert set(used) == set(params.runs), "a run that no table shows"
    assert file != "params.yaml" or len(used) > len(set(used)), "no cell is shared"
    keys = {name: run_params(params, name, "").model_dump_json() for name in params.runs}
    assert len(set(keys.values())) == len(keys), "two names of one run"


def test_a_table_is_made_of_cells_and_says_what_is_known(project, capsys):
    params = write(project, SMALL)
    found = [run_cell(params, run, seed) for run in ("l1", "l1_cgan") for seed in (0, 1)]
    assert len({each["key"] for each in found}) == 4
    assert "discriminator" not in found[0]["parameters"]
    tables.main(load_tables(params))
    text = Path("tables/data/tables/objectives.md").read_text()
    assert text in capsys.readouterr().out
    made = json.loads(Path("tables/data/tables/objectives.json").read_text())
    values = [each["directions"]["labels_to_photo"]["figures"]["fcn_class_iou"]["value"] for each in found]
    l1, cgan, never, real = made["rows"]
    assert l1["figures"]["fcn_class_iou"]["mean"] == pytest.approx(sum(values[:2]) / 2)
    assert l1["figures"]["fcn_class_iou"]["half"] == pytest.approx(12.7062 * abs(values[0] - values[1]) / 2, rel=1e-4)
    assert cgan["paper"] == {"IoU": 0.17}
    assert never["note"] == "not run"
    assert "fid_efficientnet_lite0" not in real["figures"]
    assert 0 <= real["figures"]["fcn_class_iou"]["mean"] <= 1
    assert l1["figures"]["fcn_class_iou"]["values"] == {"0": values[0], "1": values[1]}
    told, never_run = made["orderings"]
    assert told["difference"]["mean"] == pytest.approx((sum(values[2:]) - sum(values[:2])) / 2)
    assert told["difference"]["p"] == told["p"] > 0  # one ordering alone, so Holm changes nothing
    assert f"p {told['p']:.2g}" in text
    assert "Holm" in text
    assert (never_run["reason"], never_run["p"]) == ("a row was not run", None)
    assert "| L1+cGAN |" in text
    assert re.search(r"\| 0\.17 \|", text)
    with Image.open("tables/data/tables/objectives.png") as sheet:
        assert sheet.height == 4 * (32 + 2)  # labels, two runs, photo
    with Image.open("tables/data/cells/l1-0.png") as strip:
        assert strip.size == (3 * 32, 32)


def test_a_killed_cell_goes_on_and_a_finished_run_is_not_trained_again(project, monkeypatch):
    params = write(project, changed("train/seed", 5))
    take, taken = Trainer.step, []

    def step(self, index, batch):
        if index == 3 and len(taken) == 3:
            taken.append(None)
            raise KeyboardInterrupt
        taken.append(index)
        take(self, index, batch)

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        run_cell(params, "l1_cgan", 7)
    first = run_cell(params, "l1_cgan", 7)
    assert taken == [0, 1, 2, None, 2, 3]
    assert run_cell(params, "same", 7)["key"] == first["key"]
    assert taken == [0, 1, 2, None, 2, 3]


def test_the_seed_of_a_cell_is_the_cells(project):
    params = load_tables(write(project, SMALL))
    one, two = (plan_cell(run_params(params, "l1", ""), seed, Path("data/shards"), project) for seed in (0, 1))
    assert (one.train.seed, two.train.seed) == (0, 1)
    assert one.key != two.key


def test_a_system_of_two_directions_fills_rows_of_two_tables(project):
    other = SMALL["tables"]["objectives"] | {
        "direction": "photo_to_labels",
        "figures": ["labels_class_iou", "fid_efficientnet_lite0", "kid_efficientnet_lite0"],
        "rows": {"CycleGAN": {"run": "both_ways"}},
        "orderings": [],
    }
    values = changed("cells/run", ["both_ways"])
    values["runs"]["both_ways"]["train.task"] = {"source": "photo", "target": "labels"}  # not in the alphabet's order
    values["tables"] = {
        "there": SMALL["tables"]["objectives"] | {"rows": {"CycleGAN": {"run": "both_ways"}}, "orderings": []},
        "back": other,
    }
    params = write(project, values)
    found, _ = (run_cell(params, "both_ways", seed) for seed in (0, 1))
    assert found["strips"] == ["photo_to_labels", "labels_to_photo"]
    assert sorted(found["directions"]) == sorted(found["strips"])
    tables.main(load_tables(params))
    back = json.loads(Path("tables/data/tables/back.json").read_text())
    assert back["direction"] == "photo_to_labels"
    assert back["rows"][0]["figures"]["labels_class_iou"]["seeds"] == 2
    strips = [np.asarray(Image.open(f"tables/data/tables/{name}.png")) for name in ("there", "back")]
    made = np.asarray(Image.open("tables/data/cells/both_ways-0.png"))
    for strip, half in zip(strips, (made[32:], made[:32]), strict=True):
        assert np.array_equal(strip[34:66, -96:], half)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("runs/l1", {"system.lamda_l1": 0}, r"runs\.l1: system\.lamda_l1: no such param; did you mean lambda_l1"),
        ("runs/l1", {"system.lambda_l1": 0, "system.lambda_adversarial": 0}, "nothing to learn from"),
        ("runs/l1", {"system.objective.name": "l1"}, r"system\.objective\.name: no such param"),
        ("runs/l1", {"system.name": "cyclegan2"}, "'cyclegan2' is not one of"),
        ("cells/run", ["l1", "l2"], r"cells\.run: no run l2; there are l1, l1_cgan"),
        ("cells/seed", [0, 0], "the same twice in 0, 0"),
        (
            "tables/objectives/figures",
            ["fcn_class_iou", "fid_efficientnet_lite0"],
            r"no kid_\*; an FCN-score can be fooled",
        ),
        ("tables/objectives/orderings", ["L1 > L2 by fcn_class_iou"], "no row L2"),
        ("tables/objectives/orderings", ["L1 beats L1+cGAN"], "ROW > ROW by METRIC"),
        (
            "tables/objectives/figures",
            [*SMALL["tables"]["objectives"]["figures"], "best_l1"],
            "best_l1 is of the best checkpoint; set best: true",
        ),
        ("tables/objectives/rows/L1", {"run": "l1", "paper": [1, 2]}, "paper has 2 numbers, and published has 1"),
        ("tables/objectives/rows/L1", {"run": "l1", "reference": "real"}, "either a run or a reference"),
    ],
)
def test_a_wrong_param_is_named_before_anything_runs(tmp_path, path, value, message):
    with pytest.raises(Fault, match=message) as fault:
        load_tables(write(tmp_path, changed(path, value)))
    assert "\n" not in str(fault.value)


def test_figures_of_two_protocols_do_not_meet_in_a_table(project):
    values = changed("cells", {"run": ["l1"], "seed": [0]})
    run_cell(write(project, values), "l1", 0)
    values["evaluate"]["seed"] = 1
    with pytest.raises(Fault, match="were measured differently"):
        tables.main(load_tables(write(project, values)))
    values["tables"]["objectives"]["direction"] = "photo_to_labels"
    with pytest.raises(Fault, match="no run makes photo_to_labels; name a task that one does"):
        tables.main(load_tables(write(project, values)))


def test_the_second_graph_reruns_the_cells_whose_params_changed_and_no_others(data, tmp_path):
    """Through DVC itself; and a plain `dvc repro` of the main graph has no stage of it."""
    shutil.copytree(data / "data/shards", tmp_path / "data/shards")
    shutil.copytree(data / "data/judge", tmp_path / "data/judge")
    for name in ("components", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    values = changed("cells/seed", [0])
    write(tmp_path, values)
    for folder in (tmp_path, tmp_path / "tables"):
        (folder / ".dvc").mkdir()
        (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
        for name in ("dvc.yaml", ".dvcignore"):
            shutil.copy(ROOT / folder.relative_to(tmp_path) / name, folder / name)
    (tmp_path / "tables/components").symlink_to("../components")
    shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")

    def dvc(*arguments: str) -> str:
        environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def repro() -> list[str]:
        return re.findall(r"Running stage '([\w@-]+)'", dvc("--cd", "tables", "repro"))

    assert sorted(repro()) == ["cell@l1-0", "cell@l1_cgan-0", "tables"]
    assert repro() == []
    values["runs"]["l1_cgan"] = {"system.lambda_l1": 50}
    write(tmp_path, values)
    assert repro() == ["cell@l1_cgan-0", "tables"]
    assert "cell" not in dvc("status")  # of the main graph
