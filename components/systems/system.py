"""System and Phase: what a GAN is, for the one loop that trains them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from components.domain import Domain
from components.schema import Section

Batch = dict[str, Tensor]
Terms = dict[str, Tensor]


class SystemSection(Section):
    """What every system's params have in common.

    Attributes:
        paired: whether source and target of a batch are aligned pictures of the same samples. An unpaired
            system is given two independent streams, even where the data is aligned.
    """

    paired: ClassVar[bool] = True


class Memory(Protocol):
    """What a system remembers between steps beside its weights: a replay pool, a growth stage, moments."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Shape:
    """What a system must fit: the two domains of the task and the pictures' size.

    `frequencies` gives each target class's share of the training pixels when the target is a label map.
    """

    source: Domain
    target: Domain
    size: tuple[int, int]
    frequencies: tuple[float, ...] = ()


@dataclass(frozen=True)
class Phase:
    """One part of a step: some networks learn from some terms.

    `terms(networks, batch)` gives named scalars whose sum is minimised over the networks in `learns`; it
    may leave tensors in the batch for later phases. A scalar that it leaves under `seen.NAME` is logged as
    the terms are, and nothing learns from it. `every` n: the phase is due at each n-th step.
    """

    name: str
    learns: tuple[str, ...]
    terms: Callable[[nn.ModuleDict, Batch], Terms]
    every: int = 1


@dataclass(frozen=True)
class Translation:
    """One direction a system translates: run(network, source (N, C, H, W), seeds (N,)) to the target.

    Seeds decide all that is random of each sample, so a picture does not depend on its batch. A `reverse`
    one goes from the task's target to its source.
    """

    network: str
    run: Callable[[nn.Module, Tensor, Tensor], Tensor]
    reverse: bool = False


@dataclass(frozen=True)
class System:
    """A GAN as a composition: its networks, the phases of its step, and how it is used afterwards.

    `validation` gives figures of a batch with nothing learning; the first is the one by which the best
    checkpoint is chosen (lower is better). `averaged` names the networks an EMA is kept of.
    """

    networks: nn.ModuleDict
    phases: tuple[Phase, ...]
    translations: Mapping[str, Translation]
    validation: Callable[[nn.ModuleDict, Batch], Terms]
    averaged: tuple[str, ...] = ()
    memories: Mapping[str, Memory] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def num_parameters(self) -> dict[str, int]:
        """Learned parameters of each network."""
        return {name: sum(p.numel() for p in net.parameters()) for name, net in self.networks.items()}


def output(domain: Domain, x: Tensor) -> Tensor:
    """The output activation of a translator: tanh for what is seen in colour, else probabilities of the classes."""
    return torch.tanh(x) if domain.in_colour else torch.softmax(x, dim=1)
