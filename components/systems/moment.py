"""Moment: where a run stands. Course: what of a system changes with it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Moment:
    """Where a run stands. All that changes in the course of a run is a function of it.

    Attributes:
        step: the number of this step, from 0.
        steps: of the whole run.
        images: training images that were seen before this step, over all ranks.
        stage: what `Course.stage` of the system says of it.
    """

    step: int
    steps: int
    images: int
    stage: tuple[int, ...] = ()


def always(_: Moment) -> bool:
    """Due at every step."""
    return True


def one_stage(_: Moment) -> tuple[int, ...]:
    """All steps do the same."""
    return ()


def nothing_to_set(_networks: nn.ModuleDict, _moment: Moment) -> None:
    """The networks stay as they are between two steps."""


def nothing_to_say(_: Moment) -> tuple[str, ...]:
    """A run may end at any moment."""
    return ()


def full_rate(_: Moment) -> float:
    """The learning rate is that of the params."""
    return 1.0


@dataclass(frozen=True)
class Course:
    """What changes with the moment beside what phases do with it, of a system that grows.

    Attributes:
        stage: tells steps apart that use other layers. Optimizers begin anew where it changes, and on a GPU each stage
            is a graph of its own. No stage comes back.
        begin: sets, before each step, what changes within a stage, in buffers of the networks.
        rate: a factor of the learning rate.
        ends: what people should know of a run that ends at a moment, such as that it has not grown up.
    """

    stage: Callable[[Moment], tuple[int, ...]] = one_stage
    begin: Callable[[nn.ModuleDict, Moment], None] = nothing_to_set
    rate: Callable[[Moment], float] = full_rate
    ends: Callable[[Moment], tuple[str, ...]] = nothing_to_say


STEADY = Course()  # nothing changes
