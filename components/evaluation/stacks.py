"""How many of the modes of stacked digits a set of pictures finds, and how evenly.

The protocol of Metz et al. 2017 (arXiv:1611.02163): a classifier reads the digit of each channel, which makes one of
1,000 modes of every picture. They draw 25,600 pictures.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.evaluation.intervals import Figure, linear_figure, percentile
from components.systems.judge import Judge

_CHANNELS = 3
_REDRAWN = 128  # redrawn sets that are counted at once


def read_modes(judge: Judge, pictures: NDArray[np.uint8]) -> Tensor:
    """The mode of each stack (N, H, W, 3), int64: the classes of its channels as the digits of one number.

    The judge looks at the first channel alone, so each of the three takes that place in turn.
    """
    modes = torch.zeros(len(pictures), dtype=torch.int64)
    for channel in range(_CHANNELS):
        turned = np.ascontiguousarray(np.roll(pictures, -channel, axis=3))
        modes = modes * len(judge.classes) + judge.predict(turned).argmax(dim=1)
    return modes


def mode_figures(modes: Tensor, count: int, draws: Tensor) -> dict[str, Figure]:
    """The figures of the modes (N,) of N pictures, of which there are `count`.

    Args:
        draws: (B, N) counts of `intervals.draws`.

    Returns:
        `modes`: how many are found. `mode_kl`: in nats, the Kullback-Leibler divergence from the share of pictures at
        each mode to equal ones; of N perfect pictures about (count - 1) / 2N. A redrawn set repeats pictures and so
        finds fewer modes, which is no error of the count: the interval of `modes` has the spread of the redrawn counts
        and lies about the count itself.
    """
    shares = torch.bincount(modes, minlength=count).double() / len(modes)
    found = float((shares > 0).sum())
    again = torch.cat([_counts(modes, count, part) for part in draws.split(_REDRAWN)])
    spread = (again > 0).sum(dim=1).double()
    moved = (found + spread - spread.mean()).clamp(0, count)
    kl = torch.xlogy(shares, shares * count).sum()
    influence = torch.log(shares[modes] * count) - kl
    return {
        "modes": percentile(found, moved),
        "mode_kl": linear_figure(float(kl), (influence, draws)),
    }


def _counts(modes: Tensor, count: int, draws: Tensor) -> Tensor:
    """How many pictures of each redrawn set (B, N) show each mode: (B, count)."""
    return torch.zeros(len(draws), count).index_add_(1, modes, draws.float())
