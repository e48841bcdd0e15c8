"""How many modes of a known mixture a set of points finds, and how evenly.

The protocol of VEEGAN (Srivastava et al. 2017, arXiv:1705.07761): a point is of high quality if it lies within three
standard deviations of the nearest mode, and a mode is found if it has a point of high quality. The papers draw 2,500
points. Of perfect points the share of high quality is 1 - exp(-4.5) = 0.989, since the squared distance in deviations
is exponential with mean 2.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.evaluation.config import EvaluateConfig
from components.evaluation.intervals import Figure, draws, percentile, resampled
from components.samples.domain import Mixture, points_of_bytes
from components.shards.reader import Split

_WITHIN = 3.0  # standard deviations
_BLOCK = 4096  # points whose distances to all modes are in memory at once


@dataclass(frozen=True)
class Assigned:
    """Points (n,) at their nearest modes.

    Attributes:
        modes: the index of each one's nearest mode, int64. distances: to its centre, in standard deviations.
    """

    modes: Tensor
    distances: Tensor

    @property
    def good(self) -> Tensor:
        """Which are of high quality."""
        return self.distances <= _WITHIN


def read_points(split: Split, domain: str) -> NDArray[np.float32]:
    """All points of a split, (n, 2)."""
    return points_of_bytes(np.stack([split.picture(i, domain) for i in range(len(split))]))


def assign(mixture: Mixture, points: NDArray[np.float32]) -> Assigned:
    """Each point (n, 2) to its nearest mode; of equally near ones the first."""
    centres = torch.tensor(mixture.centres, dtype=torch.float64)
    found = [torch.cdist(part.double(), centres).min(dim=1) for part in torch.from_numpy(points).split(_BLOCK)]
    distances, modes = (torch.cat([part[place] for part in found]) for place in (0, 1))
    return Assigned(modes, distances / mixture.std)


def point_figures(mixture: Mixture, assigned: Assigned, config: EvaluateConfig) -> dict[str, Figure]:
    """The figures of a set of points.

    Returns:
        `modes`: how many are found. `high_quality`: the share of such points. `mode_kl` and `mode_js`: in nats, the
        Kullback-Leibler divergence from the share of points at each mode to the mixture's own, 1/k each, and their
        Jensen-Shannon divergence; every point, of high quality or not, counts for its nearest mode. n perfect points
        have a `mode_kl` of about (k - 1) / 2n.
    """
    count, modes = len(assigned.modes), len(mixture.centres)
    at = torch.nn.functional.one_hot(assigned.modes, modes).double()
    good = at * assigned.good[:, None]
    counts = draws(count, config.num_bootstrap, config.seed)
    figures = {}
    for name, of, rows in (
        ("modes", _found, good),
        ("high_quality", _share, good),
        ("mode_kl", _kl, at),
        ("mode_js", _js, at),
    ):
        value = of(rows.sum(0, keepdim=True) / count)
        figures[name] = percentile(float(value), of(resampled(counts, rows) / count))
    return figures


def _found(shares: Tensor) -> Tensor:
    """Modes with a share (B, k) above 0: (B,)."""
    return (shares > 0).sum(1).double()


def _share(shares: Tensor) -> Tensor:
    return shares.sum(1)


def _kl(shares: Tensor) -> Tensor:
    """Of shares (B, k) to equal ones: (B,)."""
    return torch.xlogy(shares, shares * shares.shape[1]).sum(1)


def _js(shares: Tensor) -> Tensor:
    """Between shares (B, k) and equal ones: (B,), 0 to log 2."""
    equal = torch.full_like(shares, 1 / shares.shape[1])
    middle = (shares + equal) / 2
    own = torch.xlogy(shares, shares) - torch.xlogy(shares, middle)
    return (own + torch.xlogy(equal, equal / middle)).sum(1) / 2
