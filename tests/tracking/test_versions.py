"""Versions are found by number or alias, and their files are those that were registered, or refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from components import start
from components.faults import Fault
from components.models.card import CARD, WEIGHTS, read_card
from components.models.generator import Generator
from components.storage import home
from components.systems import build
from components.tracking.config import RegisterConfig
from components.tracking.record import Outputs, gather
from components.tracking.registry import register_all
from components.tracking.run import log_record
from components.tracking.store import Store, open_store
from components.tracking.versions import fetch_version, find_version, list_versions
from components.training.checkpoint import CheckpointStore
from components.training.config import TrainConfig
from tests.stage_outputs import KEY, build_outputs

pytestmark = [
    # mlflow's own: its tables still use a loader strategy that SQLAlchemy 2.1 is leaving,
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),
    # and its types of chat messages trip its own check of type hints when it is imported.
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Store:
    """With version 1 of the model `tiny`, the candidate."""
    root = build_outputs(tmp_path_factory.mktemp("project"), tiny_shards)
    data = root / "data"
    timed = root / f".pix2pipe/runs/{KEY}/throughput.json"
    outputs = Outputs(data / "runs", data / "generated", data / "metrics", timed, root / "dvc.lock")
    opened = open_store(f"sqlite:///{root}/.pix2pipe/mlflow.db", root / ".pix2pipe", "tests")
    register_all(opened, log_record(opened, gather(outputs, "b" * 40)), outputs, RegisterConfig(model="tiny"))
    return opened


def test_found_by_number_and_alias(store: Store):
    version = find_version(store, "tiny", "candidate")
    assert version == find_version(store, "tiny", "1") == list_versions(store, "tiny")[0]
    assert version.aliases == ("candidate",)
    with pytest.raises(Fault, match=r"tiny has no version champion; there are 1 @candidate"):
        find_version(store, "tiny", "champion")
    with pytest.raises(Fault, match="no model other"):
        find_version(store, "other", "1")


def test_the_files_are_those_registered_or_refused(store: Store, tmp_path: Path):
    version = find_version(store, "tiny", "candidate")
    folder = fetch_version(store, version, tmp_path / "one")
    assert Generator.load(folder, "cpu").card.weights_sha256 == version.tags["weights_sha256"]
    place = store.client.get_model_version_download_uri("tiny", "1")
    weights = Path(place.removeprefix("file://")) / "artifacts" / WEIGHTS
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(Fault, match=r"tiny version 1: .*generator\.safetensors.*not what was reviewed"):
            fetch_version(store, version, tmp_path / "two")
        weights.unlink()
        with pytest.raises(Fault, match=r"tiny version 1: .*generator\.safetensors.*missing"):
            fetch_version(store, version, tmp_path / "three")
    finally:
        weights.write_bytes(whole)


def test_a_training_starts_from_a_version_or_a_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both become one file by its content, with the names that networks have in a training."""
    monkeypatch.chdir(tmp_path)
    for module in (start, home):
        monkeypatch.setattr(module, "LOCAL", tmp_path / ".pix2pipe")
    monkeypatch.setattr(start, "tracking_uri", lambda _: store.uri)
    by_number, by_alias = (
        start.settled_start(TrainConfig(steps=1, start_from=f"models:/tiny{which}"), "tests").start_from
        for which in ("/1", "@candidate")
    )
    assert by_number == by_alias
    weights, card = (
        load_file(by_number),
        read_card(fetch_version(store, find_version(store, "tiny", "1"), tmp_path) / CARD),
    )
    network = build(card.system, card.shape()).networks["generator"]
    assert weights.keys() == {f"generator.{key}" for key in network.state_dict()}
    kept = CheckpointStore(tmp_path / ".pix2pipe/runs/0123abcd/checkpoints")
    kept.save(3, {"generator.bias": torch.ones(2)}, {}, None)
    of_run = start.settled_start(TrainConfig(steps=1, start_from="run:0123"), "tests").start_from
    assert load_file(of_run).keys() == {"generator.bias"}
    assert of_run == start.settled_start(TrainConfig(steps=1, start_from=of_run), "tests").start_from
    for name, said in (
        ("models:/tiny/9", "no version 9"),
        ("run:9999", "no such run"),
        ("no.safetensors", "no such file"),
    ):
        with pytest.raises(Fault, match=said):
            start.settled_start(TrainConfig(steps=1, start_from=name), "tests")
