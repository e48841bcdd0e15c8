"""A registry is where its project is: moved, copied, or not there at all."""

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest

from components.faults import Fault
from components.review.promote import promote
from components.review.review import find_state
from components.shards.reader import Split
from components.tracking.config import RegisterConfig
from components.tracking.promotions import read_promotions
from components.tracking.reachable import URI
from components.tracking.record import Outputs, gather
from components.tracking.registry import register_all
from components.tracking.run import log_record
from components.tracking.store import Store, open_store, tracking_uri, use_registry
from components.tracking.versions import fetch_version
from tests.review.helpers import MLFLOW_WARNS, RULES
from tests.stage_outputs import KEY, build_outputs

pytestmark = MLFLOW_WARNS
ROOT = Path(__file__).parents[2]
MODEL = "pix2pix-earth"


def store_of(project: Path, make: bool = True) -> Store:
    home = project / ".pix2pipe"
    return open_store(f"sqlite:///{home}/mlflow.db", home, "tests", make=make)  # MLflow itself sets its variable


def register(project: Path) -> int:
    """What the stage does; gives the version."""
    data = project / "data"
    timed = project / f".pix2pipe/runs/{KEY}/throughput.json"
    outputs = Outputs(data / "runs", data / "generated", data / "metrics", timed, project / "dvc.lock")
    store = store_of(project)
    made = register_all(store, log_record(store, gather(outputs, "b" * 40)), outputs, RegisterConfig(model=MODEL))
    return int(made["labels_to_photo"]["version"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Path:
    """A project with a champion."""
    root = build_outputs(tmp_path_factory.mktemp("places") / "project", tiny_shards)
    register(root)
    store = store_of(root)
    state = find_state(store, MODEL)
    store.client.set_model_version_tag(MODEL, "1", "review.champion", "none")
    store.client.set_model_version_tag(MODEL, "1", "review.after_promotion", "0")
    assert state.champion is None
    promote(store, MODEL, "1", "Ann", "the first", RULES, root / "files", override=True)
    return root


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "mlflow.lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_copy_has_its_own_registry_and_the_original_keeps_its(project, tmp_path):
    copy = shutil.copytree(project, tmp_path / "copy #1 100%")
    before = contents(project / ".pix2pipe")
    files = copy / "data/metrics"
    (files / "rows.json").write_text((files / "rows.json").read_text().replace("160.0", "150.0"))
    # In a process of its own: within one, MLflow remembers where the artifacts of a run are.
    script = "import sys, pathlib, tests.tracking.test_places as t; print(t.register(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(copy)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["2"], done.stderr
    said = done.stderr.splitlines()
    assert ["moved or copied" in line for line in said] == [True]  # and no warning of MLflow's
    assert contents(project / ".pix2pipe") == before
    store = store_of(copy)
    assert find_state(store, MODEL).champion.number == 1
    assert [each.by for each in read_promotions(store, MODEL)] == ["Ann"]
    for version in find_state(store, MODEL).versions:
        artifacts = fetch_version(store, version, tmp_path / "brought" / str(version.number))
        assert (artifacts / "generator.json").is_file()
    with sqlite3.connect(copy / ".pix2pipe/mlflow.db") as connection:
        assert str(project) not in "\n".join(connection.iterdump())
    connection.close()


def test_a_moved_project_serves_what_it_served(project, tmp_path, monkeypatch):
    copied = shutil.copytree(project, tmp_path / "first")
    moved = copied.rename(tmp_path / "second")
    monkeypatch.delenv(URI, raising=False)
    use_registry(moved)
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    sample = Split(moved / "data/shards", "test").picture(0, "labels")
    assert np.array_equal(
        model.predict(sample[None])[0], Split(moved / "data/generated/labels_to_photo", "test").picture(0, "photo")
    )


def test_a_folder_that_no_address_can_hold_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.delenv(URI, raising=False)
    for name in ("a?b", "a%41b"):
        with pytest.raises(Fault, match=r"b/\.pix2pipe: .*rename"):
            tracking_uri(tmp_path / name / ".pix2pipe")


def test_reading_where_there_is_no_registry_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv(URI, raising=False)
    for read in (lambda: use_registry(tmp_path), lambda: store_of(tmp_path, make=False)):
        with pytest.raises(Fault, match=r"mlflow\.db: there is no registry; .*dvc repro"):
            read()
    assert list(tmp_path.iterdir()) == []
    store_of(tmp_path)
    with pytest.raises(Fault, match="no experiment other"):
        open_store(f"sqlite:///{tmp_path}/.pix2pipe/mlflow.db", tmp_path / ".pix2pipe", "other", make=False)


def test_the_snippet_of_the_readme_runs_in_a_project_and_makes_nothing_elsewhere(project, tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?use_registry.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    script = tmp_path / "snippet.py"
    size = Split(project / "data/shards", "test").domains["labels"].height_width
    script.write_text(
        f"import numpy as np\nlabels = np.zeros((2, *{size}), np.uint8)\n{snippet}\nprint(photos.shape)\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != URI} | {"PYTHONPATH": str(ROOT)}
    said = {}
    for place in (project, elsewhere):
        command = [sys.executable, "-W", "ignore", str(script)]
        said[place] = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)
    assert said[project].stdout.strip() == f"(2, {size[0]}, {size[1]}, 3)", said[project].stderr
    assert said[elsewhere].returncode != 0
    assert "there is no registry" in said[elsewhere].stderr.splitlines()[-1]
    assert list(elsewhere.iterdir()) == []
