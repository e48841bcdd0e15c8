"""A graph is logged once, and its generator is a model that gives the pixels that generate wrote."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml

from components.faults import Fault
from components.models.card import read_cards
from components.search.outcome import read_search, read_trials
from components.shards.reader import Split
from components.storage.files import read_json
from components.tracking.config import RegisterConfig
from components.tracking.live import LiveRun
from components.tracking.reachable import URI
from components.tracking.record import Outputs, Record, dvc_revision, gather
from components.tracking.registry import register_all, register_translator, version_by_alias
from components.tracking.run import CONTENT, find_run, log_record, points_of
from components.tracking.search import log_search
from components.tracking.store import Store, open_store, tracking_uri
from tests.stage_outputs import BOTH_WAYS, KEY, build_outputs, rewrite, write_search

pytestmark = [
    # mlflow's own: its tables still use a loader strategy that SQLAlchemy 2.1 is leaving,
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),
    # and its types of chat messages trip its own check of type hints when it is imported.
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),
]

CONFIG = RegisterConfig(model="tiny")

_CLIENT = """
import sys, warnings
import numpy as np
import mlflow
model = mlflow.pyfunc.load_model("models:/tiny@candidate")
batch, png, out = np.load(sys.argv[1]), open(sys.argv[2], "rb").read(), sys.argv[3]
import components, pandas
np.savez(
    out,
    batch=model.predict(batch),
    one=model.predict(png),
    many=model.predict([png, png]),
    column=model.predict({"png": [png]}),
    frame=model.predict(pandas.DataFrame({"png": [png]})),
    code=components.__file__,
)
"""


@dataclass
class Project:
    """A registered graph."""

    root: Path
    outputs: Outputs
    store: Store

    def register(self) -> tuple[str, str]:
        """What the stage does; gives the run's id and the version."""
        run_id = log_record(self.store, self.record())
        made = register_all(self.store, run_id, self.outputs, CONFIG)
        return run_id, str(made["labels_to_photo"]["version"])

    def record(self) -> Record:
        return gather(self.outputs, "b" * 40)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Iterator[Project]:
    root = build_outputs(tmp_path_factory.mktemp("project"), tiny_shards)
    home, data = root / ".pix2pipe", root / "data"
    timed = home / f"runs/{KEY}/throughput.json"
    outputs = Outputs(data / "runs", data / "generated", data / "metrics", timed, root / "dvc.lock")
    before = os.environ.pop(URI, None)
    store = open_store(tracking_uri(home), home, CONFIG.experiment)
    yield Project(root, outputs, store)
    if before is not None:
        os.environ[URI] = before


@pytest.fixture(scope="module")
def registered(project: Project) -> tuple[str, str]:
    return project.register()


def test_the_run_holds_the_graph(project: Project, registered: tuple[str, str]) -> None:
    run = project.store.client.get_run(registered[0])
    assert run.info.status == "FINISHED"
    assert run.data.params["system.lambda_l1"] == "100.0"
    assert run.data.params["train.augment.vertical_flip"] == "true"
    assert run.data.tags["pix2pipe.protocol"] == "ef" * 32
    assert run.data.tags["pix2pipe.commit.trained"] == "a" * 40 + "-dirty"
    assert run.data.tags["mlflow.source.git.commit"] == "a" * 40
    assert run.data.metrics["images_per_second"] == 80.5
    assert run.info.run_name == f"pix2pix {KEY[:6]}, 40 steps, labels to photo"
    assert set(run.data.params) == set(project.record().params)  # and nothing else, which a comparison would show
    assert run.data.metrics["fid_lite0"] == 160.0
    headlines = {name for name in run.data.metrics if "/" not in name}
    assert len(headlines - {"images_per_second"}) <= 8  # and no row but the model's
    artifacts = {a.path for a in project.store.client.list_artifacts(run.info.run_id, "metrics")}
    assert artifacts == {"metrics/rows.json", "metrics/headline.json"}
    history = project.store.client.get_metric_history(run.info.run_id, "train/generator.l1")
    assert [(point.step, point.value) for point in history][:2] == [(5, 20 / 5**0.5), (10, 20 / 10**0.5)]
    artifacts = {a.path for a in project.store.client.list_artifacts(run.info.run_id, "samples")}
    assert artifacts == {f"samples/step_0000{step}.png" for step in (10, 20, 30, 40)}
    images = [a.path for a in project.store.client.list_artifacts(run.info.run_id, "images")]
    assert {int(path.split("+step+")[1].split("+")[0]) for path in images} == {10, 20, 30, 40}
    table, about = run.data.tags["mlflow.note.content"].split("\n\n")[:2]  # the page shows the first lines
    assert "| fid_efficientnet_lite0 | 160 | 128 | 96 | 64 |" in table.splitlines()[:3]
    assert about.startswith("pix2pix, labels to photo, 40 steps")
    files = {a.path for a in project.store.client.list_artifacts(run.info.run_id, "checkpoints/best")}
    assert files == {"checkpoints/best/weights.safetensors"}


def test_a_fresh_process_gets_the_pixels_that_generate_wrote(
    project: Project, registered: tuple[str, str], tmp_path: Path
) -> None:
    test = Split(project.root / "data/shards", "test")
    made = Split(project.root / "data/generated/labels_to_photo", "test")
    expected = np.stack([made.picture(i, "photo") for i in range(len(made))])
    np.save(tmp_path / "batch.npy", np.stack([test.picture(i, "labels") for i in range(len(test))]))
    (tmp_path / "one.png").write_bytes(test.png(0, "labels"))
    command = [sys.executable, "-c", _CLIENT, "batch.npy", "one.png", "out.npz"]
    # Nothing of the project on the path: the version carries its code. Unpickling is forbidden outright.
    forbid = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONSAFEPATH": "1", "PYTHONPATH": ""}
    where = {"MLFLOW_TRACKING_URI": project.store.uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(command, cwd=tmp_path, env=os.environ | forbid | where, check=True, timeout=120)
    got = np.load(tmp_path / "out.npz")
    assert np.array_equal(got["batch"], expected)
    for name in ("one", "column", "frame"):
        assert np.array_equal(got[name], expected[:1]), name
    assert np.array_equal(got["many"], expected[[0, 0]])
    assert "mlartifacts" in str(got["code"])


def test_nothing_in_the_store_is_a_pickle(project: Project, registered: tuple[str, str]) -> None:
    files = [file for file in (project.root / ".pix2pipe/mlartifacts").rglob("*") if file.is_file()]
    suffixes = {file.suffix for file in files}
    assert ".safetensors" in suffixes
    assert not suffixes & {".pkl", ".pickle", ".pt", ".pth", ".bin"}
    card = next(file for file in files if file.name == "MLmodel")
    flavor = yaml.safe_load(card.read_text())["flavors"]["python_function"]
    assert "model_code_path" in flavor
    assert "python_model" not in flavor


def test_registering_again_changes_nothing(project: Project, registered: tuple[str, str]) -> None:
    client = project.store.client
    assert project.register() == registered
    assert len(client.get_metric_history(registered[0], "train/generator.l1")) == 8
    assert len(client.get_metric_history(registered[0], "class_iou")) == 1
    assert len(client.list_artifacts(registered[0], "images")) == 8  # four steps, each whole and small
    assert len(client.search_model_versions("name = 'tiny'")) == 1


def test_new_metrics_make_a_new_version_of_the_same_run(project: Project, registered: tuple[str, str]) -> None:
    rows = {"model": {"l1": {"value": 12.5, "low": 12, "high": 13}}}
    short = project.outputs.metrics / "headline.json"
    before = {path: path.read_text() for path in (project.outputs.metrics_file, short)}
    rewrite(short, {"l1": 12.5})
    rewrite(project.outputs.metrics_file, {"labels_to_photo": {"rows": rows, "protocol": {"hash": "aa" * 32}}})
    run_id, version = project.register()
    run = project.store.client.get_run(run_id)
    assert run_id == registered[0]
    assert run.data.metrics["l1"] == 12.5
    assert run.data.tags["pix2pipe.protocol"] == "aa" * 32
    assert len(project.store.client.get_metric_history(run_id, "train/generator.l1")) == 8
    assert int(version) == int(registered[1]) + 1
    candidate = version_by_alias(project.store, "tiny", "candidate")
    assert candidate is not None
    assert candidate.version == int(version) or str(candidate.version) == version
    for path, text in before.items():
        path.write_text(text)


def test_live_figures_are_not_logged_twice(project: Project) -> None:
    rewrite(project.outputs.run / "run.json", {"key": "feed" * 4})
    uri, home, client = project.store.uri, project.root / ".pix2pipe", project.store.client
    for steps in ((5, 10, 15), (10, 15, 20)):  # killed after 15, resumed from a checkpoint at 5
        live = LiveRun(uri, home, CONFIG.experiment, "feed" * 4, "live").start()
        for step in steps:
            live.log(step, {"generator.l1": 20 / step**0.5})
        live.end()
    run = find_run(project.store, "feed" * 4)
    assert run is not None
    points = client.get_metric_history(run.info.run_id, "train/generator.l1")
    assert sorted(point.step for point in points) == [5, 10, 15, 20]
    run_id, _ = project.register()
    assert run_id == run.info.run_id
    points = client.get_metric_history(run_id, "train/generator.l1")
    assert sorted(point.step for point in points) == list(range(5, 45, 5))


def test_another_training_of_the_same_key_gets_its_own_run(project: Project) -> None:
    rewrite(project.outputs.run / "run.json", {"key": "cafe" * 4})
    home = project.root / ".pix2pipe"
    live = LiveRun(project.store.uri, home, CONFIG.experiment, "cafe" * 4, "live").start()
    live.log(5, {"generator.l1": 1234.0})
    live.end()
    other = find_run(project.store, "cafe" * 4)
    assert other is not None
    run_id, _ = project.register()
    assert run_id != other.info.run_id
    found = find_run(project.store, "cafe" * 4)
    assert found is not None
    assert found.info.run_id == run_id
    assert points_of(project.store, found, ["train/generator.l1"])["train/generator.l1", 5] == 20 / 5**0.5
    assert CONTENT not in other.data.tags


def test_weights_that_are_not_the_cards_are_refused(project: Project, tmp_path: Path) -> None:
    for name in ("generator.json", "generator.safetensors"):
        (tmp_path / name).write_bytes((project.outputs.generated / "labels_to_photo" / name).read_bytes())
    with (tmp_path / "generator.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(Fault, match="sha256 differs"):
        register_translator(
            project.store, "0" * 32, tmp_path, {"protocol": {"hash": "aa"}}, tmp_path / "none", "tiny", "candidate"
        )


def test_both_directions_are_models_of_their_own(tmp_path: Path, tiny_shards: Path, project: Project) -> None:
    root = build_outputs(tmp_path, tiny_shards, BOTH_WAYS)
    data, name = root / "data", "photo_to_labels"
    outputs = Outputs(data / "runs", data / "generated", data / "metrics", root / "none.json", root / "dvc.lock")
    rewrite(outputs.run / "run.json", {"key": "b0th" * 4})
    both = Project(root, outputs, project.store)
    run_id = log_record(both.store, both.record())
    made = register_all(both.store, run_id, outputs, RegisterConfig(model="both"))
    assert list(made) == ["labels_to_photo", name]
    assert [(each["model"], each["version"]) for each in made.values()] == [("both", 1), ("both-photo-to-labels", 1)]
    cards = {card.name: card for card in read_cards(outputs.generated)}
    run = both.store.client.get_run(run_id)
    assert set(run.data.params) == set(both.record().params)
    assert run.data.metrics["class_iou"] == pytest.approx(0.7 / 5, rel=1e-3)
    assert run.data.metrics[f"{name}/class_iou"] == pytest.approx(0.7 / 6, rel=1e-3)
    assert run.data.tags["pix2pipe.protocol"] == "ef" * 32
    assert run.data.tags[f"pix2pipe.protocol.{name}"] == "12" * 32
    assert run.data.tags[f"pix2pipe.weights.{name}"] == cards[name].weights_sha256
    for direction, each in made.items():
        version = version_by_alias(both.store, each["model"], "candidate")
        assert version is not None
        assert version.run_id == run_id
        assert version.tags["weights_sha256"] == each["weights_sha256"] == cards[direction].weights_sha256
        assert version.tags["protocol_hash"] == each["protocol_hash"]
        model = mlflow.pyfunc.load_model(f"models:/{each['model']}@candidate")
        source, target = cards[direction].task.source, cards[direction].task.target
        shape = {"labels": [32, 32], "photo": [32, 32, 3]}
        assert [tuple(model.metadata.signature.inputs.to_dict()[0]["tensor-spec"]["shape"])] == [(-1, *shape[source])]
        test, generated = Split(data / "shards", "test"), Split(outputs.generated / direction, "test")
        assert np.array_equal(model.predict(test.picture(0, source)[None])[0], generated.picture(0, target))
    # New figures of one direction are a new version of that one alone.
    metrics = read_json(outputs.metrics_file)
    metrics[name]["rows"]["model"]["psnr"]["value"] = 1.0
    rewrite(outputs.metrics_file, metrics)
    again = register_all(both.store, run_id, outputs, RegisterConfig(model="both"))
    assert [each["version"] for each in again.values()] == [1, 2]


def test_the_dvc_revision_is_that_of_the_stages_before(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    assert dvc_revision(lock) == ""
    lock.write_text("stages:\n  train: {md5: a}\n")
    first = dvc_revision(lock)
    lock.write_text("stages:\n  register: {md5: z}\n  train: {md5: a}\n")
    assert dvc_revision(lock) == first
    lock.write_text("stages:\n  train: {md5: b}\n")
    assert dvc_revision(lock) != first


def test_a_search_is_nested_runs_and_logged_once(tmp_path):
    write_search(tmp_path / "tune")
    summary, trials = read_search(tmp_path / "tune"), read_trials(tmp_path / "tune")
    store = open_store(tracking_uri(tmp_path / "home"), tmp_path / "home", "searches")
    parent = log_search(store, summary, trials)
    assert log_search(store, summary, trials) == parent
    runs = store.client.search_runs([store.experiment_id])
    children = {run.info.run_name: run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent}
    assert len(runs) == 7
    assert sorted(children) == ["trial 0", "trial 1", "trial 1, seed +1", "trial 2", "trial 3", "trial 4"]
    points = store.client.get_metric_history(children["trial 1"].info.run_id, "fcn_class_iou")
    assert [(point.step, point.value) for point in points] == [(10, 0.25), (40, 0.5)]
    assert children["trial 1"].data.params == {"system.lambda_l1": "3.0", "system.adversarial": "hinge"}
    assert children["trial 4"].info.status == "FAILED"
    assert children["trial 4"].data.tags["pix2pipe.reason"] == "step 3: generator.l1 is not finite"
    whole = store.client.get_run(parent)
    assert whole.data.tags["pix2pipe.key"].removeprefix("search-")[:6] in whole.info.run_name[:22]
    assert whole.data.metrics["fcn_class_iou"] == pytest.approx(0.47)
    assert whole.data.params["winner.system.lambda_l1"] == "3.0"
