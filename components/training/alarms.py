"""Alarms: a training that goes on although its discriminator has won or lost, or its generator gives one picture.

Found in what is logged anyway, by the records of the log alone: a resumed run, given the records that it keeps,
says nothing twice, and whoever reads a finished log finds the same alarms.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor

ALARMS = "alarms"  # of a record: those that began with it
DIVERSITY = "diversity"
SPAN = 200  # steps for which it has held before anything is said
_CELLS = 8


@dataclass(frozen=True)
class Alarm:
    """One onset.

    Attributes:
        name: of its rule, and of the network's end where there are two (`discriminator_wins_back`).
        figure: of the log, by which it was found.
        step: at which it is said. since: from which step on it has held.
        until: the first step at which it held no more; None where the log ends before.
        text: what is wrong, and what may be done.
    """

    name: str
    figure: str
    step: int
    since: int
    text: str
    until: int | None = None


@dataclass(frozen=True)
class Rule:
    """What is alarming.

    Attributes:
        part, figure: `terms` or `validation` of a record, and what the last part of a figure's name begins with.
        begins: whether a value is alarming. ends: whether it is not any more, a little further off.
        text: with `{value}`, and the figure's `{phase}`.
    """

    name: str
    part: str
    figure: str
    begins: Callable[[float], bool]
    ends: Callable[[float], bool]
    text: str


RULES = (
    Rule(
        "discriminator_wins",
        "terms",
        "told_apart",
        lambda value: value >= 0.9995,
        lambda value: value < 0.998,
        "the discriminator wins outright: it ranks real pictures above fakes in {value:.2%} of all pairs of logits, so "
        "the generator learns little from it; lower train.learning_rates.{phase}, or set its spectral to true",
    ),
    Rule(
        "discriminator_loses",
        "terms",
        "told_apart",
        lambda value: value <= 0.25,
        lambda value: value > 0.35,
        "the discriminator loses outright: it ranks fakes above real pictures in all but {value:.1%} of the pairs of "
        "logits, so the generator learns nothing useful from it; raise train.learning_rates.{phase}",
    ),
    Rule(
        "generator_constant",
        "validation",
        DIVERSITY,
        lambda value: value < 0.15,
        lambda value: value > 0.25,
        "the generator makes nearly the same picture for every input: its pictures differ by {value:.1%} of what real "
        "ones do; look at samples/; train.learning_rate, or a weight of system that ties it to its source, may be "
        "far off",
    ),
)


class Alarms:
    """The alarms of a log, found as its records come.

    Args:
        records: those that are there already.
    """

    def __init__(self, records: Iterable[dict[str, Any]] = ()) -> None:
        self._since: dict[str, int] = {}  # by alarm: the step since which it holds without a break
        self._on: dict[str, int] = {}  # by alarm that was said: its place in `all`
        self._last: dict[str, int] = {}  # by figure: the step of its last value
        self.all: list[Alarm] = []
        for record in records:
            self.look(record)

    def look(self, record: dict[str, Any]) -> list[Alarm]:
        """Take in the next record; gives the alarms that begin with it."""
        begun = []
        for rule in RULES:
            for figure, value in record.get(rule.part, {}).items():
                phase, _, own = figure.rpartition(".")
                if own.startswith(rule.figure):
                    name = rule.name + own.removeprefix(rule.figure)
                    text = rule.text.format(value=value, phase=phase)
                    begun += self._judge(rule, Alarm(name, figure, record["step"], 0, text), value)
        self._last |= {figure: record["step"] for part in ("terms", "validation") for figure in record.get(part, {})}
        return begun

    def _judge(self, rule: Rule, alarm: Alarm, value: float) -> list[Alarm]:
        if alarm.name in self._on:
            if rule.ends(value):
                place = self._on.pop(alarm.name)
                self.all[place] = replace(self.all[place], until=alarm.step)
                del self._since[alarm.name]
            return []
        if not rule.begins(value):
            self._since.pop(alarm.name, None)
            return []
        # A term is a mean over the steps since the last record; a validation is of its own step.
        first = self._last.get(alarm.figure, 0) if rule.part == "terms" else alarm.step
        since = self._since.setdefault(alarm.name, first)
        if alarm.step - since < SPAN:
            return []
        self._on[alarm.name] = len(self.all)
        self.all.append(replace(alarm, since=since))
        return self.all[-1:]


def diversity(made: Tensor, real: Tensor) -> float | None:
    """How much pictures differ from each other, as a share of how much real ones do.

    Both are looked at in 8x8 cells, so that noise drawn over one and the same picture is no difference.

    Args:
        made, real: (N, C, H, W), of N different sources.

    Returns:
        None where that says nothing: fewer than two pictures, real ones that are all alike, or no finite share.
    """
    if len(made) < 2 or len(real) < 2:
        return None
    spreads = [F.adaptive_avg_pool2d(x.float(), _CELLS).std(dim=0).mean().item() for x in (made, real)]
    share = spreads[0] / spreads[1] if spreads[1] > 1e-4 else float("inf")
    return share if share < float("inf") else None
