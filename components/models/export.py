"""The generators of a trained system as files: weights, and a card beside them."""

from pathlib import Path
from typing import Any

from torch import Tensor

from components.files import atomic_path, sha256_file, write_json
from components.models.card import CARD, WEIGHTS, Card, GenerateConfig
from components.networks.tensors import write_tensors
from components.systems import AnySystemConfig, build
from components.systems.system import Shape, Use
from components.systems.weights import averaged
from components.task import Task


def export_generators(
    folder: Path,
    weights: dict[str, Tensor],
    config: AnySystemConfig,
    shape: Shape,
    task: Task,
    generate: GenerateConfig,
    lineage: dict[str, Any],
) -> list[Card]:
    """Write every use of a system, each into a folder named by its task; the run's own task comes first.

    Args:
        weights: `network.key` and `ema.network.key`, as in a checkpoint; averages are taken where the run kept them.
        shape, task: of the run.
        lineage: `checkpoint`, `step` and `key` of the run.
    """
    uses = sorted(build(config, shape).uses.items(), key=lambda item: item[1].makes == "source")
    if len({(use.makes, "reference" in use.needs) for _, use in uses}) < len(uses):
        raise ValueError(f"system {config.name} has two uses that make the same")
    cards = [_card(config, shape, task, generate, lineage, *item) for item in uses]
    return [_write(folder / card.name, used(weights, use), card) for card, (_, use) in zip(cards, uses, strict=True)]


def export_generator(
    folder: Path,
    weights: dict[str, Tensor],
    config: AnySystemConfig,
    shape: Shape,
    task: Task,
    generate: GenerateConfig,
    lineage: dict[str, Any],
) -> Card:
    """Write the first use of a system alone, into `folder` itself; the arguments are as above."""
    name, use = next(iter(build(config, shape).uses.items()))
    card = _card(config, shape, task, generate, lineage, name, use)
    return _write(folder, used(weights, use), card)


def used(weights: dict[str, Tensor], use: Use) -> dict[str, Tensor]:
    """The state dict of what a use takes (`Use.of`), of a checkpoint's weights."""
    if not use.beside:
        return averaged(weights, use.network)
    return {f"{name}.{key}": v for name in use.networks for key, v in averaged(weights, name).items()}


def _card(
    config: AnySystemConfig,
    shape: Shape,
    task: Task,
    generate: GenerateConfig,
    lineage: dict[str, Any],
    name: str,
    use: Use,
) -> Card:
    back = use.makes == "source"
    if "reference" in use.needs:
        task = task.model_copy(update={"reference": task.target})
    return Card(
        system=config,
        use=name,
        makes=use.makes,
        task=task.back() if back else task,
        source=shape.target if back else shape.translated,
        target=shape.made_by(use),
        condition=shape.asked,
        style=generate.style,
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
