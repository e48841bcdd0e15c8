"""The judge: a trained segmentation network that reads labels back from photos."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import PositiveInt, ValidationError
from torch import Tensor

from components.domain import Domain
from components.faults import Fault
from components.files import atomic_path, read_json, sha256_file, write_json
from components.networks.tensors import write_tensors
from components.schema import Section
from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.system import Shape
from components.systems.weights import averaged, read_weights, require_sha256
from components.tasks.encoding import encode

CARD, WEIGHTS = "judge.json", "weights.safetensors"


class JudgeCard(Section):
    """data/judge/judge.json: the network, what it reads, and its score on real photos (the ceiling)."""

    system: FCN8sConfig
    source: Domain
    target: Domain
    task: tuple[str, str]
    size: tuple[PositiveInt, PositiveInt]
    manifest: str
    key: str
    weights_sha256: str
    ceiling: dict[str, dict[str, float]]


class Judge:
    """An FCN-8s in eval mode."""

    def __init__(self, card: JudgeCard, network: torch.nn.Module) -> None:
        self.card = card
        self.sha256 = card.weights_sha256
        self.classes = card.target.classes
        self._network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def predict(self, photos: np.ndarray) -> Tensor:
        """Class logits (N, classes, H, W), float32, of uint8 photos (N, H, W, 3)."""
        logits: Tensor = self._network(encode(self.card.source, photos))
        return logits


def judge_task(direction: tuple[str, str], domains: Mapping[str, Domain]) -> tuple[str, str] | None:
    """The (photo, labels) domains to learn from; None where no sample shows both.

    The photo is the target of the data's own task or, where that is a label map, its source; the labels
    are those of the task, or any that lie beside it.
    """
    photos = [name for name in reversed(direction) if domains[name].kind == "image"]
    labels = [name for name in (*direction, *sorted(domains)) if domains[name].kind == "label"]
    return (photos[0], labels[0]) if photos and labels else None


def export_judge(folder: Path, weights: dict[str, Tensor], **card: Any) -> Judge:
    """Write the weights and the card of a trained judge, still without its ceiling, and load it.

    Args:
        weights: of a checkpoint, `segmenter.key` and, where the run kept averages, `ema.segmenter.key`.
        **card: the fields of JudgeCard but `weights_sha256` and `ceiling`.
    """
    with atomic_path(folder / WEIGHTS) as temporary:
        write_tensors(temporary, averaged(weights, "segmenter"))
    full = JudgeCard(**card, weights_sha256=sha256_file(folder / WEIGHTS), ceiling={})
    return write_card(folder, full)


def write_card(folder: Path, card: JudgeCard) -> Judge:
    """Write the card and load the judge it describes."""
    write_json(folder / CARD, card.model_dump(mode="json"))
    judge = load_judge(folder)
    assert judge is not None
    return judge


def load_judge(folder: Path) -> Judge | None:
    """Read data/judge; None where the data has no photo with labels, so that there is nothing to judge by.

    Raises:
        Fault: a file is missing, damaged or of another network.
    """
    values = read_json(folder / CARD)
    if "skipped" in values:
        return None
    try:
        card = JudgeCard.model_validate(values)
    except ValidationError as error:
        raise Fault(f"{folder / CARD}: not a judge's card ({error.errors()[0]['msg']})") from error
    require_sha256(folder / WEIGHTS, card.weights_sha256, CARD, "run dvc repro -f judge")
    network = fcn8s(card.system, Shape(card.source, card.target, card.size)).networks["segmenter"]
    network.load_state_dict(read_weights(folder / WEIGHTS, network.state_dict(), "this judge"))
    return Judge(card, network)
