"""Translator: a trained generator as people use it, uint8 in and uint8 out."""

from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt, ValidationError
from torch import Tensor, nn

from components.domain import Domain
from components.faults import Fault
from components.files import atomic_path, read_json, sha256_file, write_json
from components.networks.tensors import write_tensors
from components.schema import Section
from components.systems import AnySystemConfig, SystemConfig, build
from components.systems.system import Shape, Translation
from components.systems.weights import averaged, read_weights, require_sha256
from components.tasks.encoding import content_seed, decode, encode

CARD, WEIGHTS = "translator.json", "generator.safetensors"
_End = TypeVar("_End")


class GenerateConfig(Section):
    """How test pictures are made.

    Attributes:
        checkpoint: `last`, or `best` by the validation figure.
        mode: of BatchNorm and dropout. `train` is the authors' way for pix2pix: statistics of the picture
            itself (batches of one) and dropout as noise. `eval` uses running statistics and no dropout.
        batch_size: pictures translated at once.
        num_workers: ranks that share the pictures, through Ray; 0 is this process with every core.
    """

    checkpoint: Literal["last", "best"] = "last"
    mode: Literal["train", "eval"] = "eval"
    batch_size: PositiveInt = 16
    num_workers: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"


class Card(Section):
    """What stands beside the weights of a translator: all that is needed to run them.

    Attributes:
        task: (source, target) domains as it translates them.
        reverse: whether that is from the target of the system's task to its source.
    """

    system: SystemConfig
    translation: str
    source: Domain
    target: Domain
    task: tuple[str, str]
    size: tuple[PositiveInt, PositiveInt]
    mode: Literal["train", "eval"]
    batch_size: PositiveInt
    checkpoint: str
    step: int
    key: str
    weights_sha256: str
    reverse: bool = False

    @property
    def direction(self) -> str:
        """What its folders and its figures are filed under, such as labels_to_photo."""
        return "_to_".join(self.task)


class Translator:
    """Translates pictures; the same bytes in give the same bytes out, alone or in any batch.

    Batches are padded to one fixed size, so the same arithmetic runs whatever is asked together, and
    what is random (dropout, noise) is seeded from each source's own bytes.
    """

    def __init__(self, card: Card, network: nn.Module, translation: Translation, device: torch.device) -> None:
        self.card, self._translation, self._device = card, translation, device
        self.source, self.target, self.size = card.source, card.target, card.size
        self._network = network.to(device).train(card.mode == "train").requires_grad_(False)

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "Translator":
        """Read a folder with translator.json and generator.safetensors.

        Raises:
            Fault: a file is missing, or the weights are not those of the card's network.
        """
        card = read_card(folder / CARD)
        require_sha256(folder / WEIGHTS, card.weights_sha256, CARD, "run dvc repro -f generate")
        network, translation = _network(card)
        what = f"{card.system.name}'s {translation.network}"
        network.load_state_dict(read_weights(folder / WEIGHTS, network.state_dict(), what))
        cuda = device != "cpu" and torch.cuda.is_available()
        return cls(card, network, translation, torch.device("cuda" if cuda else "cpu"))

    @torch.inference_mode()
    def translate(self, batch: np.ndarray) -> np.ndarray:
        """Translate uint8 pictures: (N, H, W, 3) images or (N, H, W) class indices, of the card's size.

        Raises:
            Fault: another size, kind or dtype, or a label outside the classes; or the network gives no finite
                values, which no picture can show.
        """
        expected = (*self.size, 3) if self.source.kind == "image" else self.size
        if batch.dtype != np.uint8 or batch.shape[1:] != expected:
            raise Fault(f"pictures are {batch.dtype} {batch.shape[1:]}; this translator takes uint8 {expected}")
        fixed = 1 if self.card.mode == "train" else self.card.batch_size
        parts = [self._run(batch[start : start + fixed], fixed) for start in range(0, len(batch), fixed)]
        empty = np.empty((0, *self.size, 3) if self.target.kind == "image" else (0, *self.size), np.uint8)
        return np.concatenate(parts) if parts else empty

    def _run(self, part: np.ndarray, fixed: int) -> np.ndarray:
        padded = np.concatenate([part, np.repeat(part[-1:], fixed - len(part), axis=0)])
        seeds = torch.tensor([content_seed(picture) for picture in padded])
        torch.manual_seed(int(seeds[0]))
        made = self._translation.run(self._network, encode(self.source, padded, self._device), seeds)
        if not bool(made.isfinite().all()):
            raise Fault(
                f"{self.card.system.name} of step {self.card.step} gives values that are not finite; train again"
            )
        return decode(self.target, made)[: len(part)]


def export_translators(
    folder: Path,
    weights: dict[str, Tensor],
    config: AnySystemConfig,
    shape: Shape,
    task: tuple[str, str],
    generate: GenerateConfig,
    lineage: dict[str, Any],
) -> list[Card]:
    """Write every translation of a system, each into a folder named by its direction; the task's own comes first.

    Args:
        weights: `network.key` and `ema.network.key`, as in a checkpoint; averages are taken where the run kept them.
        shape, task: of the run.
        lineage: `checkpoint`, `step` and `key` of the run.
    """
    translations = sorted(build(config, shape).translations.items(), key=lambda item: item[1].reverse)
    if len({translation.reverse for _, translation in translations}) < len(translations):
        raise ValueError(f"system {config.name} has two translations of one direction")
    cards = [_card(config, shape, task, generate, lineage, *item) for item in translations]
    return [
        _write(folder / card.direction, averaged(weights, translation.network), card)
        for card, (_, translation) in zip(cards, translations, strict=True)
    ]


def export_translator(
    folder: Path,
    weights: dict[str, Tensor],
    config: AnySystemConfig,
    shape: Shape,
    task: tuple[str, str],
    generate: GenerateConfig,
    lineage: dict[str, Any],
) -> Card:
    """Write the first translation of a system alone, into `folder` itself; the arguments are as above."""
    name, translation = next(iter(build(config, shape).translations.items()))
    card = _card(config, shape, task, generate, lineage, name, translation)
    return _write(folder, averaged(weights, translation.network), card)


def read_cards(folder: Path) -> list[Card]:
    """The cards of what `export_translators` wrote, in its order.

    Raises:
        Fault: there is none, or one is not a translator's, or is that of another direction.
    """
    cards = {path: read_card(path) for path in sorted(folder.glob(f"*/{CARD}"))}
    if not cards:
        raise Fault(f"{folder}: has no translator; run dvc repro -f generate")
    for path, card in cards.items():
        if path.parent.name != card.direction:
            raise Fault(f"{path}: is the card of {card.direction}; run dvc repro -f generate")
    return sorted(cards.values(), key=lambda card: card.reverse)


def read_card(path: Path) -> Card:
    """One translator.json.

    Raises:
        Fault: it is missing, or is not a translator's.
    """
    try:
        return Card.model_validate(read_json(path))
    except ValidationError as error:
        raise Fault(f"{path}: not a translator's card ({error.errors()[0]['msg']})") from error


def _card(
    config: AnySystemConfig,
    shape: Shape,
    task: tuple[str, str],
    generate: GenerateConfig,
    lineage: dict[str, Any],
    name: str,
    translation: Translation,
) -> Card:
    source, target = _turned((shape.source, shape.target), translation.reverse)
    return Card(
        system=config,
        translation=name,
        reverse=translation.reverse,
        source=source,
        target=target,
        task=_turned(task, translation.reverse),
        size=shape.size,
        mode=generate.mode,
        batch_size=generate.batch_size,
        weights_sha256="",  # until they are written
        **lineage,
    )


def _write(folder: Path, weights: dict[str, Tensor], card: Card) -> Card:
    with atomic_path(folder / WEIGHTS) as temporary:
        write_tensors(temporary, weights)
    card = card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    write_json(folder / CARD, card.model_dump(mode="json"))
    return card


def _turned(ends: tuple[_End, _End], reverse: bool) -> tuple[_End, _End]:
    """Both ends of the task as a translation takes them."""
    return (ends[1], ends[0]) if reverse else ends


def _network(card: Card) -> tuple[nn.Module, Translation]:
    """The freshly initialised network of a card. The system is built for its task, whichever way the card goes."""
    source, target = _turned((card.source, card.target), card.reverse)
    system = build(card.system, Shape(source, target, card.size))
    if card.translation not in system.translations:
        have = ", ".join(system.translations)
        raise Fault(f"system {card.system.name} has no translation {card.translation}; it has {have}")
    translation = system.translations[card.translation]
    return system.networks[translation.network], translation
