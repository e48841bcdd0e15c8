"""Stacked digits: their judge, a cell of their table, and the refusal without a judge."""

import math
from pathlib import Path

import pytest
import yaml

from components.faults import Fault
from components.fragment import take
from components.params import Params, load_params, load_tables
from components.plan import check_plan
from components.stage import Clock
from components.storage.files import read_json, write_json
from pipelines import cell, judge, shard, tables
from tests.sources.test_stacked_mnist import mnist_like
from tests.test_graph import SMALL

ROOT = Path(__file__).parents[1]
STILL = {"horizontal_flip": False, "vertical_flip": False}
CUT = {"name": "stacked_mnist", "image_size": 28, "train": 32, "val": 4, "test": 24}
STACKED = {
    "fetch": {"name": "stacked_mnist"},
    "shard": {"cut": CUT, "samples_per_shard": 32, "num_workers": 1},
    "judge": {
        "system": {"name": "classifier", "width": 2},
        "train": {"num_workers": 0, "steps": 2, "batch_size": 8, "checkpoint_every": 2, "augment": STILL},
    },
    "tune": {"space": {}, "num_trials": 0},
    "system": {"name": "unrolled_gan", "latent": 8, "num_unrolled": 1, "networks": {"name": "stacked", "width": 2}},
    "train": {"num_workers": 0, "steps": 2, "batch_size": 4, "checkpoint_every": 2, "ema": 0, "augment": STILL},
    "generate": {"batch_size": 16, "count": 40},
    "evaluate": {"features": [], "num_bootstrap": 40},
    "review": {"require": ["mode_kl"], "no_worse_than": {}, "floors": {}},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    mnist_like(tmp_path / "data/raw")
    write_json(tmp_path / "data/raw/stacked_mnist/source.json", {"name": "stacked_mnist", "files": {}})
    return tmp_path


def test_a_cell_counts_the_modes_that_the_judge_reads(project):
    params = Params.model_validate(SMALL | STACKED)
    check_plan(params)
    for stage in (shard, judge):
        stage.main(params, Clock(stage.__name__))
    assert 0 <= read_json(project / "data/judge/judge.json")["ceiling"]["test"]["accuracy"] <= 1

    values = yaml.safe_load((ROOT / "tables/stacked.yaml").read_text(encoding="utf-8"))
    name = values["cells"]["run"][0]
    values["cells"] = {"run": [name], "seed": [0]}
    values["train"] |= STACKED["train"]
    values["generate"] |= STACKED["generate"]
    own = project / "tables/params.yaml"
    own.parent.mkdir()
    own.write_text(yaml.safe_dump(values), encoding="utf-8")
    cell.main(own, name, 0, Clock("cell"))
    measured = read_json(project / f"tables/data/cells/{name}-0.json")["directions"]["photo"]
    assert measured["protocol"]["judge"] is not None
    assert "mode" not in measured["skipped"]
    assert 1 <= measured["figures"]["modes"]["value"] <= 40
    assert measured["figures"]["mode_kl"]["value"] >= math.log(1000 / 40)
    tables.main(load_tables(own))
    (table,) = (project / "tables/data/tables").glob("*.json")
    rows = {row["row"]: row for row in read_json(table)["rows"]}
    assert 1 <= rows["real stacks"]["figures"]["modes"]["mean"] <= 24
    assert sum("note" not in row for row in rows.values()) == 2

    write_json(project / "data/judge/judge.json", {"skipped": "judge.system is null"})
    with pytest.raises(Fault, match="data/judge reads nothing from photo"):
        cell.main(own, name, 0, Clock("cell"))


@pytest.mark.parametrize("system", [None, {"name": "fcn8s"}])
def test_stacks_without_a_judge_of_digits_are_refused_at_once(tmp_path, monkeypatch, system):
    monkeypatch.chdir(tmp_path)
    other = {"judge": STACKED["judge"] | {"system": system}}
    with pytest.raises(Fault, match=r"judge\.system: no judge reads the pictures in the channels of photo"):
        check_plan(Params.model_validate(SMALL | STACKED | other))


def test_the_config_is_one_that_can_be_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    defaults = (ROOT / "params.yaml").read_text(encoding="utf-8")
    fragment = (ROOT / "configs/stacked_mnist.yaml").read_text(encoding="utf-8")
    text, _ = take(defaults, fragment, defaults, "stacked_mnist")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    params = load_params(tmp_path / "params.yaml")
    check_plan(params)
    assert params.generate.count == 25_600
    for section in (params.train, params.judge.train):
        flips = section.augment.horizontal_flip, section.augment.vertical_flip
        assert not any(flips)  # a mirrored digit is none
