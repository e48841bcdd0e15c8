"""Kernel Inception Distance (Bińkowski et al. 2018, arXiv:1801.01401)."""

import torch
from torch import Tensor

from components.evaluation.beside import to_compute
from components.evaluation.intervals import Figure, percentile
from components.evaluation.sets import are_equal, doubts, require_sets
from components.objectives.kernel_distance import kernel

_ROWS = 1024  # of a kernel matrix that are in memory at once
_LARGEST = 10_000  # images of a part: time and memory grow with its square


def kid(first: Tensor, second: Tensor, first_draws: Tensor, second_draws: Tensor, paired: bool) -> Figure:
    """The unbiased squared MMD under k(x, y) = (x·y / d + 1)³, from all images at once.

    The common estimate averages many random subsets of 1,000; its expectation is this very figure, which
    has no subset size to choose and less noise. It may be slightly below 0 where the sets agree.
    In a bootstrap sample an image drawn twice is never a pair with itself, so repeats add no bias.
    Sets of more than 10,000 images are taken apart into as few equal parts of at most so many, in the order of the
    images, and the figure is the mean over the parts: as unbiased, and time grows with the images, not their square.

    Args:
        first: features (n, d). second: features (m, d).
        first_draws: (B, n) counts of `intervals.draws`. second_draws: (B, m).
        paired: image i of both sets belong to one sample and are drawn together.

    Two sets of the same images are no two draws, and the estimate would be a little below 0: they are at 0.

    Raises:
        Fault: fewer than two images on a side, features that are not finite, or of two networks.
    """
    require_sets("a KID", first, second)
    notes = doubts(first, second)
    if are_equal(first, second):
        return Figure(0.0, 0.0, 0.0, dict(notes), torch.zeros(len(first_draws), dtype=torch.float64))
    parts = min(-(-max(len(first), len(second)) // _LARGEST), min(len(first), len(second)) // 2)
    values = torch.stack(
        [
            _of_all(x, y, u, v, paired)
            for x, y, u, v in zip(
                first.tensor_split(parts),
                second.tensor_split(parts),
                first_draws.tensor_split(parts, dim=1),
                second_draws.tensor_split(parts, dim=1),
                strict=True,
            )
        ]
    ).mean(0)
    if parts > 1:
        notes["parts"] = f"the mean over {parts} parts of the images"
    return percentile(float(values[0]), values[1:], **notes)


def _of_all(first: Tensor, second: Tensor, first_draws: Tensor, second_draws: Tensor, paired: bool) -> Tensor:
    """The estimate from all pairs of images, (1 + B,): with every image once, and of each bootstrap sample."""
    x, y = to_compute(first), to_compute(second)
    weights = [to_compute(torch.cat([torch.ones_like(w[:1]), w])) for w in (first_draws, second_draws)]
    within = [_mean(z, z, w, w, "none") for z, w in zip((x, y), weights, strict=True)]
    across = _mean(x, y, weights[0], weights[1], "once" if paired else "all")
    return (within[0] + within[1] - 2 * across).cpu()


def _mean(x: Tensor, y: Tensor, u: Tensor, v: Tensor, diagonal: str) -> Tensor:
    """Weighted mean of k(x_i, y_j) for each row of the weights u (B, n), v (B, m).

    diagonal "none": pairs i = j are left out. "all": they count u_i v_i. "once": they count u_i, since an
    image drawn twice with its own partner is two pairs and not four.
    """
    total = torch.zeros(len(u), dtype=x.dtype, device=x.device)
    diagonals = []
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        k = kernel(x[rows], y)
        if diagonal != "all":
            square = k[:, rows]
            diagonals.append(square.diagonal().clone())
            square.fill_diagonal_(0)
        total += ((u[:, rows] @ k) * v).sum(1)
    pairs = u.sum(1) * v.sum(1)
    if diagonal != "all":
        pairs -= (u * v).sum(1)
    if diagonal == "once":
        total += u @ torch.cat(diagonals)
        pairs += u.sum(1)
    return total / pairs
