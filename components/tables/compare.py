"""A metric over several seeds, and the comparison of two."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, variance
from typing import Literal

from scipy.special import stdtr, stdtrit

from components.evaluation.intervals import PERCENT, student_half
from components.evaluation.objective import less_is_better
from components.tables.config import BEST

Verdict = Literal["holds", "does not hold", "cannot be told"]
Way = Literal["by pairs of equal seeds", "by two rows of seeds"]

_ALPHA = 1 - PERCENT / 100


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds and half of its 95 % interval (Student's t); no interval from a single seed.

    Attributes:
        values: by seed; empty of what depends on no seed.
    """

    mean: float
    half: float | None
    seeds: int
    values: Mapping[int, float] = field(default_factory=dict, repr=False)


def estimate(values: Mapping[int, float]) -> Estimate:
    """The mean of one figure over seeds, with its interval."""
    found = list(values.values())
    return Estimate(fmean(found), student_half(found) if len(found) > 1 else None, len(found), values)


@dataclass(frozen=True)
class Difference:
    """One row's mean less another's, with its 95 % interval.

    Attributes:
        p: the chance of a difference at least as large where there is none, two-sided. It is below 0.05 exactly
            where the interval leaves out 0.
    """

    mean: float
    low: float
    high: float
    p: float
    way: Way


def difference(first: Estimate, second: Estimate) -> Difference | None:
    """How far apart two means over seeds are; None where one of them has a single value.

    There are two intervals: of the differences of pairs with equal seeds (Student's t), which is narrower where a seed,
    hence the order of the data, moves both rows alike; and of two rows that have nothing to do with each other (Welch
    1947). The narrower is taken. Since there are two, each is one of 97.5 %: so both are right 95 times in 100.
    """
    if min(len(first.values), len(second.values)) < 2:
        return None
    found = [_welch(list(first.values.values()), list(second.values.values()))]
    pairs = [first.values[seed] - second.values[seed] for seed in first.values if seed in second.values]
    # Differences that are all the same come of a metric of few values, a count; their interval would have no width.
    if len(pairs) > 1 and variance(pairs) > 0:
        error = math.sqrt(variance(pairs) / len(pairs))
        found.append(_Student(fmean(pairs), error, len(pairs) - 1, "by pairs of equal seeds"))
    tries = len(found)
    best = min(found, key=lambda each: each.half(tries))
    half = best.half(tries)
    return Difference(best.mean, best.mean - half, best.mean + half, min(1.0, tries * best.p), best.way)


@dataclass(frozen=True)
class _Student:
    """A mean whose error, over its standard error, has Student's distribution."""

    mean: float
    error: float
    freedom: float
    way: Way

    def half(self, tries: int) -> float:
        """Half of the interval, as wide as several tries need."""
        return float(stdtrit(self.freedom, 1 - _ALPHA / tries / 2)) * self.error

    @property
    def p(self) -> float:
        """The chance of so large a mean where the true one is 0."""
        if not self.error:
            return float(self.mean == 0)
        return 2 * float(stdtr(self.freedom, -abs(self.mean) / self.error))


def _welch(first: Sequence[float], second: Sequence[float]) -> _Student:
    one, other = (variance(values) / len(values) for values in (first, second))
    parts = one**2 / (len(first) - 1) + other**2 / (len(second) - 1)
    freedom = (one + other) ** 2 / parts if parts else float(len(first) + len(second) - 2)
    return _Student(fmean(first) - fmean(second), math.sqrt(one + other), freedom, "by two rows of seeds")


def holm(chances: Sequence[float]) -> list[float]:
    """Each p corrected for there being several (Holm 1979): where all true differences are 0, none of the corrected is
    below 0.05 in 95 of 100 tables."""
    corrected, largest = [0.0] * len(chances), 0.0
    for place, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        largest = max(largest, min(1.0, (len(chances) - place) * chances[index]))
        corrected[index] = largest
    return corrected


def verdict(figure: str, better_less_worse: float, p: float) -> Verdict:
    """Whether one row is better than another, as a paper says, by this figure.

    Args:
        better_less_worse: the difference of their means. p: of it, corrected.
    """
    if p >= _ALPHA:
        return "cannot be told"
    return "holds" if (better_less_worse < 0) == less_is_better(figure.removeprefix(BEST)) else "does not hold"
