"""The stages from judge to report with systems that make pictures from noise, with a condition and without."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from components.models.generator import Generator
from components.params import Params
from components.samples.task import Task
from components.search.trial_objective import TrialMeasure, TrialObjective
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.stage import Clock
from components.storage.files import read_json
from components.storage.home import LOCAL, shared
from components.tracking.store import open_store, tracking_uri
from components.training.run import plan
from pipelines import evaluate, generate, judge, register, report, train, tune
from tests.conftest import KINDS, write_kinds, write_sides, write_tiny
from tests.review.helpers import MLFLOW_WARNS
from tests.test_graph import SMALL

pytestmark = [*MLFLOW_WARNS, pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning")]  # mlflow's own types
SYSTEMS = {
    "dcgan": {"name": "dcgan", "latent": 8, "width": 4},
    "cgan": {"name": "cgan", "latent": 8, "networks": {"name": "convolutions", "width": 4}},
    "wgan_gp": {"name": "wgan_gp", "latent": 8, "width": 4, "num_critic": 2},
    "sn_gan": {"name": "sn_gan", "latent": 8, "networks": {"name": "residual", "width": 4}, "num_critic": 2},
    "mgan": {"name": "mgan", "latent": 8, "width": 4, "num_heads": 2},
    "style_gan": {"name": "style_gan", "latent": 8, "width": 4, "mapping": 2, "growth": {"steady": 4, "fade": 8}},
}
NAMES = dict.fromkeys(SYSTEMS, "photo") | {"cgan": "photo_by_kind"}
READ = {"system": {"name": "classifier", "width": 2}, "train": {"steps": 2, "batch_size": 4, "checkpoint_every": 2}}


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, system: str, write: object = write_kinds, **generated: object
) -> Params:
    """All stages from judge on, in a folder of their own."""
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    write(folder / "data/shards")
    own = {
        "system": SYSTEMS[system],
        "train": {"num_workers": 0, "steps": 2, "batch_size": 4, "checkpoint_every": 2, "ema": 0.5},
        "tune": {"space": {"train.learning_rate": {"choice": [1e-4, 1e-3]}}, "num_trials": 0},
        "judge": READ if write is write_kinds else SMALL["judge"],
        "generate": {"batch_size": 4} | generated,
    }
    params = Params.model_validate(SMALL | own)
    for stage in (judge, tune, train, generate, evaluate, register, report):
        stage.main(params, Clock(stage.__name__))
    return params


@pytest.mark.parametrize(
    "system", [pytest.param(name, marks=[pytest.mark.slow] if name == "style_gan" else []) for name in SYSTEMS]
)
def test_a_system_goes_all_the_way(system, tmp_path, monkeypatch):
    params = run(tmp_path, monkeypatch, system)
    data, name = tmp_path / "data", NAMES[system]
    (measured,) = (json.loads((data / "metrics/rows.json").read_text())[name],)
    rows, model = measured["rows"], measured["rows"]["model"]
    conditional = system == "cgan"
    assert set(rows) == {"model", "real", "floor"} | ({"shuffled"} if conditional else set())
    assert {"fid_efficientnet_lite0", "kid_efficientnet_lite0", "inception_score_efficientnet_lite0"} <= set(model)
    assert not {"l1", "psnr", "ssim"} & set(model)
    assert ("condition_accuracy" in model) == conditional
    if conditional:
        assert "condition_accuracy" in rows["real"]
        assert set(rows["shuffled"]) == {"condition_accuracy", "condition_accuracy_per_class"}
        assert measured["protocol"]["condition"] == "kind"
        assert read_json(data / "judge/judge.json")["task"] == {"source": "photo", "target": "kind", "condition": None}
    test, made = Split(data / "shards", "test"), Split(data / "generated" / name, "test")
    assert made.keys == test.keys
    generator = Generator.load(data / "generated" / name, "cpu")
    kinds = np.stack([test.picture(i, "kind") for i in range(len(test))]) if conditional else None
    expected = generator.make(seeds=range(len(test)), conditions=kinds)
    assert all(np.array_equal(made.picture(i, "photo"), expected[i]) for i in range(len(made)))
    assert len({picture.tobytes() for picture in expected}) == len(test)  # another seed is another picture
    trained = plan(params.system, params.train, data / "shards", shared() / "runs")
    assert trained.task == Task(target="photo", condition="kind" if conditional else None)
    measure = TrialMeasure(None, 4, params.evaluate, params.generate, trained.shards, data / "judge", trained.task)
    meter = TrialObjective(measure)
    assert meter.objective.figure == ("condition_accuracy" if conditional else "kid_efficientnet_lite0")
    assert meter(trained).steps == 2
    page = (data / "report/index.html").read_text()
    assert f"<h1>{system}: {trained.task.title}</h1>" in page
    assert "from noise, beside 8 test samples" in page
    assert page.count('class="triple pair"') == page.count("nearest in training</span>") == 8
    assert "From one latent to another" in page
    assert ("Styles of one picture in another" in page) == (system == "style_gan")
    if conditional:
        assert all(f"<span>{kind}</span>" in page for kind in KINDS)


def test_a_registered_version_makes_pictures_of_seeds_and_conditions(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, "cgan")
    import mlflow.pyfunc

    store = open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False)
    mlflow.set_registry_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/tiny@candidate")
    made = model.predict({"seed": [5, 6], "condition": ["red", "dark"]})
    generator = Generator.load(tmp_path / "data/generated/photo_by_kind", "cpu")
    assert np.array_equal(made, generator.make(seeds=[5, 6], conditions=np.array([2, 0], np.uint8)))
    schema = model.metadata.signature.inputs.to_dict()
    assert [(column["name"], column["type"]) for column in schema] == [("seed", "long"), ("condition", "string")]
    for given, said in (
        ({"seed": [5]}, "condition and seed are taken, not seed"),
        ({"seed": [5], "condition": ["blue"]}, "condition blue: no such class; there are dark, light, red"),
        ({"seed": [-1], "condition": ["red"]}, "seeds are integers from 0"),
        ({"seed": [5, 6], "condition": ["red"]}, "as many seeds as conditions"),
    ):
        with pytest.raises(mlflow.exceptions.MlflowException, match=said):
            model.predict(given)


def test_as_many_pictures_are_made_as_params_ask(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, "cgan", count=20)
    made = Split(tmp_path / "data/generated/photo_by_kind", "test")
    assert made.keys == [f"seed_{i:06d}" for i in range(20)]
    measured = json.loads((tmp_path / "data/metrics/rows.json").read_text())["photo_by_kind"]
    assert "condition_accuracy" in measured["rows"]["model"]


@pytest.mark.parametrize("write", [write_tiny, write_sides])
def test_pictures_are_made_from_noise_whatever_lies_beside_them(write, tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, "dcgan", write)
    manifest = Manifest.read(tmp_path / "data/shards")
    made = Split(tmp_path / "data/generated/photo", "test")
    assert len(made) == manifest.count(manifest.side("test", "photo"))
    page = (tmp_path / "data/report/index.html").read_text()
    assert re.search(r"trained for 2 steps on \d+ pictures of 32", page)
