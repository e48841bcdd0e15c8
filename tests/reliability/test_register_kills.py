"""register killed after it made a version and before it named it: the next one names that version."""

import pytest
from mlflow import MlflowClient

from components.tracking.config import RegisterConfig
from components.tracking.reachable import URI
from components.tracking.record import Outputs
from components.tracking.registry import register_all
from components.tracking.run import make_run
from components.tracking.store import open_store, tracking_uri
from tests.reliability.test_stage_kills import PROMISE
from tests.stage_outputs import KEY, build_outputs
from tests.training.test_resume import Killed

pytestmark = [  # mlflow's own, see tests/tracking/test_register.py
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),
]


@pytest.mark.slow
@PROMISE
def test_a_version_that_a_kill_left_without_a_name_is_the_next_ones(tmp_path, tiny_shards, tally, monkeypatch):
    monkeypatch.delenv(URI, raising=False)
    root, config = build_outputs(tmp_path, tiny_shards), RegisterConfig(model="tiny")
    home, data = root / ".pix2pipe", root / "data"
    store = open_store(tracking_uri(home), home, config.experiment)
    outputs = Outputs(data / "runs", data / "generated", data / "metrics", home / "throughput.json", root / "dvc.lock")
    run = make_run(store, KEY, "run").info.run_id

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_registered_model_alias", killed)
        with pytest.raises(Killed):
            register_all(store, run, outputs, config)
    for what in ("after the kill", "once more"):
        made = register_all(store, run, outputs, config)["labels_to_photo"]
        tally.count(made["version"] == 1, f"{what}: {made}")
    store.client.delete_registered_model_alias("tiny", "candidate")
    store.client.set_registered_model_alias("tiny", "kept", "1")
    made = register_all(store, run, outputs, config)["labels_to_photo"]
    tally.count(made["version"] == 2, f"what has another name stays as it is: {made}")
