"""System and Phase: what a GAN is, for the one loop that trains them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from components.faults import Fault
from components.samples.domain import Domain
from components.samples.schema import Section
from components.systems.moment import STEADY, Course, always
from components.systems.moment import Moment as Moment  # which most of those who need this file need too
from components.systems.use import Given as Given
from components.systems.use import Need as Need
from components.systems.use import Use as Use
from components.systems.use import of_source as of_source

Batch = dict[str, Tensor]
Terms = dict[str, Tensor]


class SystemSection(Section):
    """What every system's params have in common.

    Attributes:
        needs: what every system of this name learns from beside pictures of the target: a source that it translates, a
            condition. Where params decide it, `needed` says more.
        paired: whether source and target of a batch are aligned pictures of the same samples. An unpaired
            system is given two independent streams, even where the data is aligned.
        within: whether its source is a picture of the target itself, which it shows in another condition or style.
        exclusive: whether its condition must be one class at a time, and cannot be attributes.
        skips_void: whether its terms leave out pixels that are not labelled in what it makes.
        truncates: whether it has a style for each layer, and an average of W that what it makes can be held near.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"source"})
    paired: ClassVar[bool] = True
    within: ClassVar[bool] = False
    exclusive: ClassVar[bool] = False
    skips_void: ClassVar[bool] = False
    truncates: ClassVar[bool] = False

    @property
    def needed(self) -> frozenset[Need]:
        """What it needs with these params."""
        return self.needs

    @property
    def paced(self) -> bool:
        """Whether what a step does depends on the length of the run (`Moment.steps`), beside its learning rate."""
        return False

    @property
    def judged_by_kid(self) -> bool:
        """Whether the KID of what it makes to real pictures tells a better checkpoint from a worse one.

        Within one domain it does not: pictures that are left as they are have the lowest.
        """
        return not self.within

    def require_batch(self, per_rank: int, ranks: int) -> None:
        """Refuse batches that the system cannot be given; most take any.

        Args:
            per_rank: pictures of each rank.

        Raises:
            Fault: naming the param.
        """


class Memory(Protocol):
    """What a system remembers between steps beside its weights: a replay pool, a growth stage, moments."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Shape:
    """What a system must fit: the domains of the task, each with its size.

    Attributes:
        translated: the domain of the source; None where pictures are made from noise.
        frequencies: each target class's share of the training pixels when the target is a label map.
        asked: the domain of the condition; None where none is asked for.
    """

    translated: Domain | None
    target: Domain
    frequencies: tuple[float, ...] = ()
    asked: Domain | None = None

    @property
    def source(self) -> Domain:
        """The domain of the source.

        Raises:
            Fault: the task has none.
        """
        return _there(self.translated, "a source")

    @property
    def condition(self) -> Domain:
        """The domain of the condition.

        Raises:
            Fault: the task has none.
        """
        return _there(self.asked, "a condition")

    @property
    def roles(self) -> dict[str, Domain]:
        """The domains by their role: `source`, `target` and `condition`, as there are."""
        domains = {"source": self.translated, "target": self.target, "condition": self.asked}
        return {role: domain for role, domain in domains.items() if domain is not None}

    def made_by(self, use: Use) -> Domain:
        """The domain of what a use makes."""
        return self.source if use.makes == "source" else self.target


def _there(domain: Domain | None, what: str) -> Domain:
    if domain is None:
        raise Fault(f"the system needs {what}, and the task has none")
    return domain


@dataclass(frozen=True)
class Phase:
    """One part of a step: some networks learn from some terms.

    Attributes:
        learns: the networks whose parameters it moves.
        terms: `terms(networks, batch, moment)` gives named scalars whose sum is minimised; it may leave tensors in
            the batch for later phases of the step. A scalar that it leaves under `seen.NAME` is logged as the terms
            are, and nothing learns from it.
        every, due: it takes place at each `every`-th step at which `due(moment)` holds: critic steps between two of
            the generator, lazy penalties, stages of a training.
        optimizer: the name of its optimizer, which it shares with other phases of that name; by default its own.
        partial: some of what it learns may get no gradient at some steps, the same on every rank. Such parameters
            rest: neither they nor their moments move.
        after: called with the networks after its optimizer's step, such as for clipping weights.
    """

    name: str
    learns: tuple[str, ...]
    terms: Callable[[nn.ModuleDict, Batch, Moment], Terms]
    every: int = 1
    due: Callable[[Moment], bool] = always
    optimizer: str | None = None
    partial: bool = False
    after: Callable[[nn.ModuleDict], None] | None = None

    @property
    def optimizer_name(self) -> str:
        """By which its optimizer is found."""
        return self.optimizer or self.name

    def takes_place(self, moment: Moment) -> bool:
        """Whether it is part of this step."""
        return moment.step % self.every == 0 and self.due(moment)


@dataclass(frozen=True)
class Published:
    """The optimizer that a system was published with; `train` goes before it.

    Attributes:
        betas: of Adam. momentum: of RMSProp and SGD. weight_decay: of all.
        rates: of networks whose learning rate is another; `train.learning_rates` alone goes before it.
    """

    optimizer: Literal["adam", "rmsprop", "sgd"] = "adam"
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """A GAN as a composition: its networks, the phases of its step, and how it is used afterwards.

    `validation` gives figures of a batch with nothing learning; the first is the one by which the best
    checkpoint is chosen (lower is better) where no KID is taken. `averaged` names the networks an EMA is kept of.
    """

    networks: nn.ModuleDict
    phases: tuple[Phase, ...]
    uses: Mapping[str, Use]
    validation: Callable[[nn.ModuleDict, Batch], Terms]
    averaged: tuple[str, ...] = ()
    memories: Mapping[str, Memory] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    published: Published = Published()
    course: Course = STEADY

    def num_parameters(self) -> dict[str, int]:
        """Learned parameters of each network."""
        return {name: sum(p.numel() for p in net.parameters()) for name, net in self.networks.items()}


def output(domain: Domain, x: Tensor) -> Tensor:
    """The output activation of a translator: tanh for what is seen in colour, none of points, else probabilities of the
    classes."""
    if domain.kind == "point":
        return x
    return torch.tanh(x) if domain.in_colour else torch.softmax(x, dim=1)
