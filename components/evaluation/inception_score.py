"""Inception Score (Salimans et al. 2016, arXiv:1606.03498)."""

import numpy as np
import torch
from torch import Tensor

from components.evaluation.intervals import Figure, at_least, linear_figure
from components.evaluation.sets import is_flat
from components.faults import Fault


def inception_score(log_probabilities: Tensor, draws: Tensor, splits: int, seed: int) -> Figure:
    """exp of the mean KL(p(y|x) ‖ p(y)): mean over splits, with their population standard deviation beside.

    Images are shuffled as torch-fidelity does (RandomState(seed).permutation), then cut into `splits` parts
    of nearly equal size; with fewer images than splits there are as many splits as images.

    Args:
        log_probabilities: log p(y|x), (n, classes), of any float type; the arithmetic is float64.
        draws: (B, n) counts of `intervals.draws`.

    Returns:
        A figure from 1 (all images alike) to the number of classes, with "std", and a note where a split has
        fewer images than there are classes, which bounds it from above, or where all images are alike.

    Raises:
        Fault: fewer than two images, or log p that is NaN or above 0.
    """
    images, classes = log_probabilities.shape
    if images < 2:
        raise Fault(f"an Inception Score needs at least 2 images; there is {images}")
    # -∞ is the log of a probability of 0; NaN fails this comparison
    if not bool((log_probabilities <= 1e-3).all()):
        raise Fault("an Inception Score needs probabilities; look for broken images or weights")
    splits = min(splits, images)
    found = []
    if images // splits < classes:
        found.append(f"biased: {images} images in {splits} splits for {classes} classes")
    if is_flat(log_probabilities.exp()):
        found.append("flat: all images are alike")
    notes: dict[str, float | str] = {"note": "; ".join(found)} if found else {}
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
    notes |= {"std": float(np.std(scores))}
    figure = linear_figure(float(np.mean(scores)), (influence, draws), **notes)
    return at_least(1.0, figure)
