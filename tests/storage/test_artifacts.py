"""MLflow's artifacts at the root."""

from pathlib import Path

import pytest

from components.storage import remote
from components.storage.files import listed
from components.tracking.store import open_store, tracking_uri


@pytest.mark.filterwarnings(
    "ignore:.*noload.*:DeprecationWarning",  # mlflow's own tables, through SQLAlchemy 2.1
)
def test_an_artifact_of_a_new_experiment_lands_at_the_root(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PIX2PIPE_ROOT", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = open_store(tracking_uri(tmp_path), tmp_path, "tiny")
    run = store.client.create_run(store.experiment_id)
    (tmp_path / "curve.csv").write_text("step,l1\n")
    store.client.log_artifact(run.info.run_id, str(tmp_path / "curve.csv"), "run")
    name = f"mlartifacts/{run.info.run_id}/artifacts/run/curve.csv"
    assert name in listed(root)
    assert remote.read(root / name) == b"step,l1\n"
    assert [file.path for file in store.client.list_artifacts(run.info.run_id, "run")] == ["run/curve.csv"]
    got = store.client.download_artifacts(run.info.run_id, "run/curve.csv", str(tmp_path))
    assert Path(got).read_text() == "step,l1\n"
