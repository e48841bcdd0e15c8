"""Points of a known density from fetch to report, and trained with a resume and by two ranks."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.models.generator import Generator
from components.params import Params
from components.plan import check_plan
from components.samples.domain import points_of_bytes
from components.shards.reader import Split
from components.stage import Clock
from components.storage.files import read_json
from components.storage.home import LOCAL
from components.tracking.store import open_store, tracking_uri
from pipelines import evaluate, fetch, generate, judge, register, report, shard, train, tune
from tests.review.helpers import MLFLOW_WARNS
from tests.test_graph import SMALL

pytestmark = [*MLFLOW_WARNS, pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning")]  # mlflow's own types
STILL = {"resize": None, "horizontal_flip": False, "vertical_flip": False}
POINTS = {
    "fetch": {"name": "points"},
    "shard": {"cut": {"name": "points", "shape": "ring", "train": 64, "val": 8, "test": 300}, "samples_per_shard": 32},
    "judge": SMALL["judge"] | {"system": None},
    "tune": {"space": {}, "num_trials": 0},
    "system": {"name": "dcgan", "latent": 8},
    "train": {"steps": 4, "batch_size": 16, "checkpoint_every": 2, "ema": 0.5, "augment": STILL},
    "generate": {"batch_size": 16, "count": 40},
    "review": {"require": ["mode_kl"]},
}


def test_points_go_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    # MLflow puts a version's code before all else; processes that later tests start would find it there.
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    params = Params.model_validate(SMALL | POINTS)
    check_plan(params)
    for stage in (fetch, shard, judge, tune, train, generate, evaluate, register, report):
        stage.main(params, Clock(stage.__name__))
    data = tmp_path / "data"
    assert read_json(data / "judge/judge.json") == {"skipped": "judge.system is null"}
    made = Split(data / "generated/point", "test")
    generator = Generator.load(data / "generated/point", "cpu")
    expected = generator.make(seeds=range(40))
    assert np.array_equal(np.stack([made.picture(i, "point") for i in range(40)]), expected)
    assert len(np.unique(points_of_bytes(expected), axis=0)) == 40
    measured = json.loads((data / "metrics/rows.json").read_text(encoding="utf-8"))["point"]
    figures = {"modes", "high_quality", "mode_kl", "mode_js"}
    assert {name: set(row) for name, row in measured["rows"].items()} == {"model": figures, "real": figures}
    real = {name: figure["value"] for name, figure in measured["rows"]["real"].items()}
    assert real["modes"] == 8
    assert real["high_quality"] > 0.95
    assert real["mode_kl"] < 0.1
    assert "FID and the like" in measured["skipped"]
    assert set(read_json(data / "metrics/headline.json")) == {"modes", "high_quality", "mode_kl"}
    with Image.open(data / "generated/point/sheet.png") as sheet:
        assert sheet.size == (2 * 480 + 12, 480)
    page = (data / "report/index.html").read_text(encoding="utf-8")
    assert "trained for 4 steps on 64 points from <em>points</em>" in page
    assert "right the density that they should have" in page
    assert "Modes found" in page
    assert "From one latent to another" not in page

    import mlflow.pyfunc

    store = open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False)
    mlflow.set_registry_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/tiny@candidate")
    output = model.metadata.signature.outputs.inputs[0]
    assert (str(output.type), output.shape) == ("float32", (-1, 2))
    vectors = model.predict({"seed": [5, 6]})
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, points_of_bytes(generator.make(seeds=[5, 6], padded=False)))
