"""Which versions are served: the champion, others side by side, both ways; or one clear line."""

import json
import socket
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from components.faults import Fault
from components.models.card import WEIGHTS
from components.pages.demo.models import choose_versions, load_easels, load_models
from components.tracking.reachable import URI
from components.tracking.versions import find_version, version_of_training
from pipelines import cli
from tests.conftest import tiny_sample
from tests.pages.demo.conftest import Registry, command
from tests.stage_outputs import KEY

pytestmark = [
    # mlflow's own: its tables still use a loader strategy that SQLAlchemy 2.1 is leaving,
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),
    # and its types of chat messages trip its own check of type hints when it is imported.
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),
]


@contextmanager
def champion(registry: Registry, number: int) -> Iterator[None]:
    registry.store.client.set_registered_model_alias("tiny", "champion", str(number))
    try:
        yield
    finally:
        registry.store.client.delete_registered_model_alias("tiny", "champion")


def test_the_champion_or_the_candidate_where_there_is_none(registry: Registry) -> None:
    versions, note = choose_versions(registry.store, "tiny", [])
    assert [version.number for version in versions] == [2]
    assert note == "tiny has no champion yet, so this is its candidate, version 2"
    with champion(registry, 1):
        versions, note = choose_versions(registry.store, "tiny", [])
        assert [version.number for version in versions] == [1]
        assert note == ""
        versions, _ = choose_versions(registry.store, "tiny", ["2", "champion", "candidate", "1"])
        assert [version.number for version in versions] == [2, 1]  # each once
    with pytest.raises(Fault, match=r"tiny has no version champion; there are 3, 2 @candidate, 1$"):
        choose_versions(registry.store, "tiny", ["champion"])
    client = registry.store.client
    client.delete_registered_model_alias("tiny", "candidate")
    try:
        with pytest.raises(Fault, match="no champion and no candidate; name a version of it with --version: 3, 2, 1"):
            choose_versions(registry.store, "tiny", [])
    finally:
        client.set_registered_model_alias("tiny", "candidate", "2")


def test_both_ways_of_a_training_stand_on_one_page(registry: Registry) -> None:
    versions, _ = choose_versions(registry.store, "both", [])
    there, back = load_easels(registry.store, load_models(registry.store, versions), registry.root / "data/shards")
    assert (there.card.name, back.card.name) == ("labels_to_photo", "photo_to_labels")
    assert back.models[0].version.model == "both-photo-to-labels"
    assert back.card.key == there.card.key
    assert not isinstance(there.samples, str)
    assert version_of_training(registry.store, "both-photo-to-labels", "another") is None
    assert version_of_training(registry.store, "none", KEY) is None


def test_a_version_of_another_task_is_not_put_beside(registry: Registry) -> None:
    versions, _ = choose_versions(registry.store, "tiny", ["1", "3"])
    line = (
        "tiny version 3 makes photo to labels at 32x32, and tiny version 1 labels to photo at 32x32; "
        "only versions of one task can be shown side by side: leave one of them out"
    )
    with pytest.raises(Fault) as refused:
        load_easels(registry.store, load_models(registry.store, versions), registry.root / "data/shards")
    assert str(refused.value) == line


def test_samples_of_other_data_are_not_offered(registry: Registry, tiny_shards_64: Path) -> None:
    versions = [find_version(registry.store, "tiny", "1")]
    (easel,) = load_easels(registry.store, load_models(registry.store, versions), tiny_shards_64)
    said = str(easel.samples)
    assert all(part in said for part in (str(tiny_shards_64), "labels", "64x64", "32x32"))


@pytest.fixture
def project(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """With the project's folder as the working one."""
    monkeypatch.chdir(registry.root)
    for name in (URI, "PIX2PIPE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return registry


def test_bad_input_is_one_line(project: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    weights = project.artifact(2, WEIGHTS)
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(SystemExit, match=r"^pix2pipe: tiny version 2: .*not what was reviewed; register it again$"):
            cli.main(["demo"])
        weights.unlink()
        with pytest.raises(SystemExit, match=r"^pix2pipe: tiny version 2: the artifact .* is missing; register it"):
            cli.main(["demo"])
    finally:
        weights.write_bytes(whole)
    with pytest.raises(SystemExit, match=r"^pix2pipe: the registry has no model other; run dvc repro register first$"):
        cli.main(["demo", "--model", "other"])
    with pytest.raises(SystemExit, match=r"^pix2pipe: tiny has no version 9; there are 3, 2 @candidate, 1$"):
        cli.main(["demo", "--version", "9"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit, match=f"^pix2pipe: port {port} of 127.0.0.1 is in use; choose another"):
            cli.main(["demo", "--version", "1", "--port", port])
    assert "tiny has no champion yet, so this is its candidate, version 2\n" in capsys.readouterr().err


def test_the_command_gives_the_pixels_of_the_registered_model(project: Registry, monkeypatch) -> None:
    import mlflow

    source = tiny_sample(3)["labels"]
    with command(project.root, "--version", "1", "candidate") as (_, address, _):
        asked = urllib.request.Request(
            f"{address}/translate/labels_to_photo", source.tobytes(), {"content-type": "application/octet-stream"}
        )
        with urllib.request.urlopen(asked, timeout=120) as answer:
            got = json.load(answer)
    made = [np.frombuffer(b64decode(text), np.uint8).reshape(32, 32, 3) for text in got["pictures"]]
    mlflow.set_tracking_uri(project.store.uri)
    for picture, address in zip(made, ("models:/tiny/1", "models:/tiny@candidate"), strict=True):
        assert np.array_equal(picture, mlflow.pyfunc.load_model(address).predict(source[None])[0])
    tagged = [find_version(project.store, "tiny", which).tags["weights_sha256"] for which in ("1", "candidate")]
    assert got["weights"] == tagged
    assert not np.array_equal(*made)
