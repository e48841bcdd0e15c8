"""The stages from judge to report with a system of two directions, on pairs and on sides without any."""

import json
from pathlib import Path

import numpy as np
import pytest

from components.models.generator import Generator
from components.params import Params
from components.search.trial_objective import TrialMeasure, TrialObjective
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.stage import Clock
from components.storage.files import read_json
from components.storage.home import shared
from components.training.run import plan
from pipelines import evaluate, generate, judge, register, report, train, tune
from tests.conftest import write_sides, write_tiny
from tests.test_graph import SMALL

CYCLEGAN = {
    "system": {
        "name": "cyclegan",
        "patch_size": 16,
        "pool_size": 4,
        "generator": {"name": "resnet", "width": 4, "blocks": 1},
        "discriminator": {"width": 4, "norm": "instance"},
    },
    "train": {"num_workers": 0, "steps": 2, "batch_size": 2, "checkpoint_every": 2, "labels": "colour"},
    "tune": {"space": {"system.lambda_cycle": {"choice": [1, 10]}}, "num_trials": 0},
}
DIRECTIONS = ["labels_to_photo", "photo_to_labels"]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, shards: str) -> Params:
    """All stages from judge on, in a folder of their own."""
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (write_tiny if shards == "pairs" else write_sides)(folder / "data/shards")
    params = Params.model_validate(SMALL | CYCLEGAN)
    for stage in (judge, tune, train, generate, evaluate, register, report):
        stage.main(params, Clock(stage.__name__))
    return params


@pytest.mark.filterwarnings(
    "ignore:.*noload.*:DeprecationWarning",  # mlflow's own tables, through SQLAlchemy 2.1
    "ignore:.*AnyType:UserWarning",  # and its types of chat messages
)
@pytest.mark.parametrize("shards", ["pairs", "sides"])
def test_both_directions_go_all_the_way(shards, tmp_path, monkeypatch):
    params = run(tmp_path, monkeypatch, shards)
    data, manifest = tmp_path / "data", Manifest.read(tmp_path / "data/shards")
    metrics = json.loads((data / "metrics/rows.json").read_text())
    assert list(metrics) == list(read_json(data / "registered/version.json")["versions"]) == DIRECTIONS
    assert sorted(path.stem for path in (data / "metrics/per_sample").iterdir()) == DIRECTIONS
    for direction in DIRECTIONS:
        source, target = direction.split("_to_")
        test = Split(data / "shards", manifest.side("test", source))
        made = Split(data / "generated" / direction, "test")
        assert made.keys == test.keys
        assert made.domains == {target: manifest.domains[target]}
        translator = Generator.load(data / "generated" / direction, "cpu")
        assert translator.source.encoding == ("colour" if source == "labels" else "one_hot")
        expected = translator.translate(np.stack([test.picture(i, source) for i in range(len(test))]))
        assert all(np.array_equal(made.picture(i, target), expected[i]) for i in range(len(made)))
        found = metrics[direction]
        assert (found["protocol"]["source"], found["protocol"]["target"]) == (source, target)
        assert found["lineage"]["weights_sha256"] == translator.card.weights_sha256
        labels = {name for name in found["rows"]["model"] if name.startswith(("fcn", "labels"))}
        assert bool(labels) == (shards == "pairs")
    judged = read_json(data / "judge/judge.json")
    assert ("skipped" in judged) == (shards == "sides")
    if shards == "pairs":
        assert metrics["photo_to_labels"]["rows"]["model"]["labels_pixel_accuracy"]["value"] <= 1
    trained = plan(params.system, params.train, data / "shards", shared() / "runs")
    measure = TrialMeasure(None, 4, params.evaluate, params.generate, trained.shards, data / "judge", trained.task)
    rung = TrialObjective(measure)(trained)  # as a search would measure it, by the task's own direction
    assert rung.steps == 2
    assert rung.low <= rung.value <= rung.high
    page = (data / "report/index.html").read_text()
    for part in ("How good it is", "Test pictures", "All metrics"):
        assert f"{part}: labels to photo</h2>" in page
        assert f"{part}: photo to labels</h2>" in page
    assert "tiny version 1 (candidate), tiny-photo-to-labels version 1 (candidate)" in page
