"""shard, train and generate as stages with PIX2PIPE_ROOT at s3://: what they make is what they make on a disk."""

import shutil
from pathlib import Path

import pytest

from components.params import load_params
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.stage import Clock
from components.storage.files import listed, read_json, remove_folder, sha256_file
from pipelines import fetch, generate, shard, train, tune
from tests.test_graph import SMALL, Project


@pytest.fixture
def projects(tmp_path):
    """Two small projects, alike."""
    first = Project(tmp_path / "local")
    shutil.copytree(first.folder, tmp_path / "there")
    return first.folder, tmp_path / "there"


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    params = load_params(Path("params.yaml"))
    for stage in (fetch, shard, tune, train, generate):
        stage.main(params, Clock(stage.__name__))


@pytest.mark.filterwarnings(
    "ignore:.*noload.*:DeprecationWarning",  # mlflow's own tables, through SQLAlchemy 2.1
)
def test_the_stages_make_the_same_at_a_root(root, projects, cache, monkeypatch):
    assert SMALL["train"]["num_workers"] == 0
    here, there = projects
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run(here, monkeypatch)
    monkeypatch.setenv("PIX2PIPE_ROOT", str(root))
    run(there, monkeypatch)
    for name in (
        "runs/checkpoints/last/weights.safetensors",
        "runs/curves.csv",
        "generated/labels_to_photo/generator.safetensors",
    ):
        assert sha256_file(here / "data" / name) == sha256_file(there / "data" / name), name
    for name, there_at in (("shards", "shards"), ("generated/labels_to_photo", "generated")):
        one, other = (Manifest.read(folder / "data" / name) for folder in (here, there))
        assert one.sha256 == other.sha256
        assert other.root == f"{root}/{there_at}"
        assert not list((there / "data" / name).rglob("*.tar"))
    made = [Split(folder / "data/generated/labels_to_photo", "test") for folder in (here, there)]
    assert len(made[0]) == 6
    for index in range(6):
        assert made[0].png(index, "photo") == made[1].png(index, "photo")
    key = read_json(there / "data/runs/run.json")["key"]
    assert key == read_json(here / "data/runs/run.json")["key"]
    names = listed(root)
    assert f"runs/{key}/checkpoints/step_00000004/checkpoint.json" in names
    assert f"runs/{key}/throughput.json" in names
    assert not [name for name in names if name.startswith("work/")]
    assert not (there / ".pix2pipe/runs").exists()
    # The cache of this node is not what holds the shards: without it they are fetched again.
    remove_folder(cache)
    assert Split(there / "data/shards", "train").read(0)[0]
