"""A metric over several seeds, and the comparison of two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import t

from components.evaluation.intervals import PERCENT
from components.evaluation.objective import less_is_better

Verdict = Literal["holds", "does not hold", "cannot be told"]


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds and half of its 95 % interval (Student's t); no interval from a single seed."""

    mean: float
    half: float | None
    seeds: int

    @property
    def ends(self) -> tuple[float, float]:
        """The interval; a point where there is none."""
        half = self.half or 0.0
        return self.mean - half, self.mean + half


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one figure over seeds, with its interval."""
    count, mean = len(values), math.fsum(values) / len(values)
    if count < 2:
        return Estimate(mean, None, count)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    factor = float(t.ppf(0.5 + PERCENT / 200, count - 1))
    return Estimate(mean, factor * math.sqrt(variance / count), count)


def verdict(figure: str, better: Estimate, worse: Estimate) -> tuple[Verdict, str]:
    """Whether `better` is so by this figure, and in what words.

    If two intervals overlap, or one mean has no interval, it cannot be told.
    """
    if better.half is None or worse.half is None:
        return "cannot be told", "one seed has no interval"
    (low, high), (other_low, other_high) = better.ends, worse.ends
    if low <= other_high and other_low <= high:
        return "cannot be told", "intervals overlap"
    if (better.mean < worse.mean) == less_is_better(figure):
        return "holds", "intervals are apart"
    return "does not hold", "the other way round, intervals are apart"
