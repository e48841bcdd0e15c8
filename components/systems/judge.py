"""The judge: a trained network that reads back from a photo what it was asked to show: labels, a class, attributes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, ValidationError
from torch import Tensor

from components.faults import Fault
from components.networks.tensors import compute_device, full_float32, write_tensors
from components.samples.domain import Domain
from components.samples.schema import Section
from components.samples.task import Task
from components.storage.files import atomic_path, read_json, sha256_file, write_json
from components.systems import build
from components.systems.classifier import ClassifierConfig
from components.systems.fcn8s import FCN8sConfig
from components.systems.system import Shape
from components.systems.weights import averaged, read_weights, require_sha256
from components.tasks.encoding import encode

CARD, WEIGHTS = "judge.json", "weights.safetensors"


JudgeConfig = FCN8sConfig | ClassifierConfig


class JudgeCard(Section):
    """data/judge/judge.json: the network, what it reads, and its score on real photos (the ceiling)."""

    system: Annotated[JudgeConfig, Field(discriminator="name")]
    source: Domain
    target: Domain
    task: Task
    manifest: str
    key: str
    weights_sha256: str
    ceiling: dict[str, dict[str, float]]


class Judge:
    """A trained reader of pictures, in eval mode."""

    def __init__(self, card: JudgeCard, network: torch.nn.Module) -> None:
        self.card = card
        self.sha256 = card.weights_sha256
        self.classes = card.target.classes
        self._device = compute_device()
        self._network = network.to(self._device).eval().requires_grad_(False)

    @torch.inference_mode()
    def predict(self, photos: np.ndarray) -> Tensor:
        """Class logits, float32, of uint8 photos (N, H, W, 3).

        (N, classes, H, W) of labels, (N, classes) of a category or attributes.
        """
        with full_float32():
            logits: Tensor = self._network(encode(self.card.source, photos, self._device))
        return logits.cpu()

    def read(self, logits: Tensor) -> Tensor:
        """What logits say: class indices, (N, H, W) or (N,), int64; of attributes 0 and 1, (N, classes), int64."""
        return (logits > 0).long() if self.card.target.kind == "attributes" else logits.argmax(dim=1)


def judge_task(task: Task, domains: Mapping[str, Domain], system: JudgeConfig) -> Task | None:
    """What the judge learns to read, as a task of its own; None where no sample shows what it reads beside a picture.

    A classifier reads the condition of the data's own task or, where that asks for none, any category, or any
    attributes where there is none; of stacked pictures always what the first channel shows. A segmentation network
    reads labels: the photo is the target of the data's own task or, where that is a label map, its source; the labels
    are those of the task, or any that lie beside it.
    """
    kinds = ("label",) if system.name == "fcn8s" else ("category", "attributes")
    named = [name for name in (task.condition, task.source, task.target) if name is not None]
    photos = [name for name in (task.target, task.source) if name is not None and domains[name].kind == "image"]
    first = [stacked[0] for name in photos if (stacked := domains[name].stacked) is not None]
    others = sorted(domains, key=lambda name: (domains[name].kind == "attributes", name))
    read = [name for name in (*first, *named, *others) if domains[name].kind in kinds]
    return Task(source=photos[0], target=read[0]) if photos and read else None


def export_judge(folder: Path, weights: dict[str, Tensor], **card: Any) -> Judge:
    """Write the weights and the card of a trained judge, still without its ceiling, and load it.

    Args:
        weights: of a checkpoint, `reader.key` and, where the run kept averages, `ema.reader.key`.
        **card: the fields of JudgeCard but `weights_sha256` and `ceiling`.
    """
    with atomic_path(folder / WEIGHTS) as temporary:
        write_tensors(temporary, averaged(weights, _network_name(card["system"])))
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
    network = build(card.system, Shape(card.source, card.target)).networks[_network_name(card.system)]
    network.load_state_dict(read_weights(folder / WEIGHTS, network.state_dict(), "this judge"))
    return Judge(card, network)


def _network_name(system: JudgeConfig) -> str:
    return "segmenter" if system.name == "fcn8s" else "classifier"
