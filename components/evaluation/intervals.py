"""Intervals: a metric, and the range of its values if the test images were drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import stdev

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from components.faults import Fault

PERCENT = 95.0
_SAMPLES = 128  # bootstrap samples that are summed at once


@dataclass(frozen=True)
class Figure:
    """A measured value with its 95 % interval and its notes.

    Attributes:
        replicates: (B,) float64, the value on each of the resampled sets that the interval is of; NaN where a set
            has none. Two figures of one protocol were resampled alike, so replicate i of both is of the same images.
    """

    value: float
    low: float
    high: float
    notes: dict[str, float | str] = field(default_factory=dict)
    replicates: Tensor | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, float | str]:
        """{"value", "low", "high", notes...}."""
        return {"value": self.value, "low": self.low, "high": self.high, **self.notes}


def student_half(values: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean of a figure's values over seeds: Student's t, of at least two."""
    return float(stdtrit(len(values) - 1, 0.5 + PERCENT / 200)) * stdev(values) / len(values) ** 0.5


@lru_cache(maxsize=4)
def draws(num_images: int, num_bootstrap: int, seed: int) -> Tensor:
    """How often each image is in each bootstrap sample: (num_bootstrap, num_images) counts, rows sum to images.

    Raises:
        Fault: there is no image.
    """
    if num_images < 1:
        raise Fault("there is no image to measure; give the split some samples")
    rng = np.random.default_rng(seed)
    chances = np.full(num_images, 1 / num_images)
    return torch.from_numpy(rng.multinomial(num_images, chances, size=num_bootstrap).astype(np.int16))


def resampled(counts: Tensor, values: Tensor) -> Tensor:
    """The sum of per-image values (n, ...), float64, over each bootstrap sample: (B, ...) for `draws` (B, n)."""
    flat = values.flatten(1) if values.dim() > 1 else values
    # A part of the samples at a time: as float64 all counts are four times their size.
    sums = torch.cat([part.double() @ flat for part in counts.split(_SAMPLES)])
    return sums.view(-1, *values.shape[1:])


def percentile(value: float, replicates: Tensor, **notes: float | str) -> Figure:
    """The percentile interval of bootstrap replicates (B,); it is widened to hold the value where it does not.

    Replicates that are NaN (a class that a resampled set does not have) are left out.
    """
    every = replicates.double()
    known = every.numpy()
    known = known[np.isfinite(known)]
    if known.size == 0:
        return Figure(value, value, value, notes, every)
    low, high = np.percentile(known, [(100 - PERCENT) / 2, (100 + PERCENT) / 2])
    return Figure(value, min(value, float(low)), max(value, float(high)), notes, every)


def mean_figure(per_image: Tensor, counts: Tensor) -> Figure:
    """The mean of a per-image figure (n,), resampled by `draws` (B, n)."""
    values = per_image.double()
    return percentile(float(values.mean()), resampled(counts, values) / len(values))


def linear_figure(value: float, *parts: tuple[Tensor, Tensor], **notes: float | str) -> Figure:
    """The interval of a figure that is not a mean, from the influence of each image on it.

    The bootstrap runs on the linearised figure (the infinitesimal jackknife of Jaeckel 1972 and Efron 1982):
    resampling the figure itself would repeat images, and the repeats alone raise a Fréchet distance.

    Args:
        value: the figure on all images.
        parts: (influence (n,) that sums to 0, draws (B, n)) for each set that is resampled on its own.
    """
    moved = torch.stack([resampled(counts, influence) / len(influence) for influence, counts in parts])
    return percentile(value, value + moved.sum(0), **notes)


def at_least(floor: float, figure: Figure) -> Figure:
    """A figure whose interval stops at its smallest possible value."""
    replicates = None if figure.replicates is None else figure.replicates.clamp_min(floor)
    return Figure(figure.value, max(floor, figure.low), max(floor, figure.high), figure.notes, replicates)
