"""Inception Score (Salimans et al. 2016, arXiv:1606.03498)."""

import numpy as np
import torch
from torch import Tensor

from components.evaluation.intervals import Figure, at_least, linear_figure


def inception_score(log_probabilities: Tensor, draws: Tensor, splits: int, seed: int) -> Figure:
    """exp of the mean KL(p(y|x) ‖ p(y)): mean over splits, with their population standard deviation beside.

    Images are shuffled as torch-fidelity does (RandomState(seed).permutation), then cut into `splits` parts
    of nearly equal size; with fewer images than splits there are as many splits as images.

    Args:
        log_probabilities: log p(y|x), (n, classes), of any float type; the arithmetic is float64.
        draws: (B, n) counts of `intervals.draws`.

    Returns:
        A figure from 1 (all images alike) to the number of classes, with a note "std".
    """
    images = len(log_probabilities)
    splits = min(splits, images)
    order = torch.from_numpy(np.random.RandomState(seed).permutation(images))
    logs = log_probabilities.double()
    influence = torch.zeros(images, dtype=torch.float64)
    scores = []
    for part in range(splits):
        mine = order[part * images // splits : (part + 1) * images // splits]
        log_p = logs[mine]
        p = log_p.exp()
        q = p.mean(0)
        # p log p is 0 where p is 0: written as products that never meet inf - inf
        divergence = torch.special.xlogy(p, p).sum(1) - torch.special.xlogy(p, q).sum(1)
        scores.append(float(divergence.mean().exp()))
        # A split is mean over its own images: each weighs images / len(mine) / splits in the mean of all.
        scale = scores[-1] * images / (len(mine) * splits)
        influence[mine] = scale * (divergence - divergence.mean())
    figure = linear_figure(float(np.mean(scores)), (influence, draws), std=float(np.std(scores)))
    return at_least(1.0, figure)
