"""A trained system: the generator of each of its uses, in memory or as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from components.models.card import CARD, WEIGHTS, Card, GenerateConfig
from components.models.generator import Generator
from components.networks.tensors import write_tensors
from components.samples.task import Task
from components.storage.files import atomic_path, sha256_file, write_json
from components.systems import AnySystemConfig, build
from components.systems.system import Shape, Use
from components.systems.weights import averaged


@dataclass(frozen=True)
class Trained:
    """A checkpoint of a run, for those who want its generators.

    Attributes:
        weights: `network.key` and `ema.network.key`; averages are taken where the run kept them.
        system, shape, task: of the run.
        generate: how the generators are used.
        lineage: `checkpoint`, `step` and `key` of the run.
    """

    weights: dict[str, Tensor]
    system: AnySystemConfig
    shape: Shape
    task: Task
    generate: GenerateConfig
    lineage: Mapping[str, Any]

    def generators(self) -> list[Generator]:
        """One for each use, the run's own task first. Their cards name no sha256, since no file holds their weights."""
        where = f"the weights of run {self.lineage['key']}"
        return [Generator.of(self._card(name), used(self.weights, use), where) for name, use in self._uses.items()]

    def write(self, folder: Path) -> list[Card]:
        """Write the weights and the card of each use, into a folder named by its task; the run's own task first."""
        return [
            _written(folder / card.name, used(self.weights, use), card)
            for card, use in zip(map(self._card, self._uses), self._uses.values(), strict=True)
        ]

    @cached_property
    def _uses(self) -> dict[str, Use]:
        uses = build(self.system, self.shape).uses
        if len({(use.makes, "reference" in use.needs) for use in uses.values()}) < len(uses):
            raise ValueError(f"system {self.system.name} has two uses that make the same")
        return dict(sorted(uses.items(), key=lambda item: item[1].makes == "source"))

    def _card(self, name: str) -> Card:
        use, shape, task = self._uses[name], self.shape, self.task
        back = use.makes == "source"
        if "reference" in use.needs:
            task = task.model_copy(update={"reference": task.target})
        return Card(
            system=self.system,
            use=name,
            makes=use.makes,
            task=task.back() if back else task,
            source=shape.target if back else shape.translated,
            target=shape.made_by(use),
            condition=shape.asked,
            style=self.generate.style,
            mode=self.generate.mode,
            batch_size=self.generate.batch_size,
            weights_sha256="",  # until they are written
            **self.lineage,
        )


def used(weights: dict[str, Tensor], use: Use) -> dict[str, Tensor]:
    """The state dict of what a use takes (`Use.of`), of a checkpoint's weights."""
    if not use.beside:
        return averaged(weights, use.network)
    return {f"{name}.{key}": v for name in use.networks for key, v in averaged(weights, name).items()}


def _written(folder: Path, weights: dict[str, Tensor], card: Card) -> Card:
    with atomic_path(folder / WEIGHTS) as temporary:
        write_tensors(temporary, weights)
    card = card.model_copy(update={"weights_sha256": sha256_file(folder / WEIGHTS)})
    write_json(folder / CARD, card.model_dump(mode="json"))
    return card
