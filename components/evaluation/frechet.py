"""The Fréchet distance between two sets of features, exactly, and what each image adds to it."""

from typing import NamedTuple

import torch
from torch import Tensor

from components.evaluation.sets import are_equal, require_sets


class Frechet(NamedTuple):
    """The squared 2-Wasserstein distance of two Gaussians fitted to features.

    Attributes:
        value: the distance, at least 0, in squared feature units.
        first: (n,) float64, the influence of each image of the first set: to first order, weighing image
            i by w_i / n with sum(w) = n changes the value by mean((w - 1) * first). It sums to 0.
        second: (m,), the same for the second set.
    """

    value: float
    first: Tensor
    second: Tensor


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^½), Dowson & Landau 1982; FID of Heusel et al. 2017, arXiv:1706.08500.

    Args:
        first: features (n, d); second: features (m, d). Covariances are the unbiased ones (n - 1).

    Raises:
        Fault: fewer than two images, features that are not finite, or of two networks.
    """
    return frechet(first, second).value


def frechet(first: Tensor, second: Tensor) -> Frechet:
    """The distance with its influences, in float64.

    With fewer images than dimensions the covariances are singular and never formed: for centred data
    A (n, d) and B (m, d), tr (S1 S2)^½ is the sum of the singular values of A Bᵀ / √((n-1)(m-1)).
    Otherwise it is the sum of the square roots of the eigenvalues of the symmetric S1^½ S2 S1^½.
    """
    require_sets("a Fréchet distance", first, second)
    x, y = first.double(), second.double()
    shift = x.mean(0) - y.mean(0)
    a, b = x - x.mean(0), y - y.mean(0)
    root = _from_data if min(len(x), len(y)) < x.shape[1] else _from_covariances
    trace, pull_a, pull_b = root(a, b)
    # of each image, so that the mean over images is the trace of the unbiased covariance
    spread_a, spread_b = (z.square().sum(1) * len(z) / (len(z) - 1) for z in (a, b))
    value = shift @ shift + spread_a.mean() + spread_b.mean() - 2 * trace
    influence_a = 2 * a @ shift + spread_a - pull_a
    influence_b = -2 * b @ shift + spread_b - pull_b
    # The roots of what rounding makes of zeros can add up to 1e-7 of the spread.
    least = 0.0 if are_equal(first, second) else max(0.0, float(value))
    return Frechet(least, influence_a - influence_a.mean(), influence_b - influence_b.mean())


def _from_data(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """tr (S1 S2)^½ and, up to a constant, its doubled derivative by each image's weight; from (n, m) alone."""
    m = a @ b.T / ((len(a) - 1) * (len(b) - 1)) ** 0.5
    u, s, vh = _svd(m)
    return s.sum(), len(a) * u.square() @ s, len(b) * vh.T.square() @ s


def _svd(m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    try:
        u, s, vh = torch.linalg.svd(m, full_matrices=False)
    except RuntimeError:  # divide and conquer now and then gives up on repeated values
        squares, u = torch.linalg.eigh(m @ m.T)
        s = _positive(squares).sqrt()
        vh = torch.where(s[:, None] > 0, (u.T @ m) / s[:, None], 0.0)
    return u, s, vh


def _from_covariances(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same from the (d, d) covariances, whose ranks may be smaller than d."""
    s1, s2 = a.T @ a / (len(a) - 1), b.T @ b / (len(b) - 1)
    values, basis = torch.linalg.eigh(s1)
    half = _positive(values).sqrt()
    root, inverse = (basis * half) @ basis.T, (basis * _reciprocal(half)) @ basis.T
    values, q = torch.linalg.eigh(root @ s2 @ root)
    middle = _positive(values).sqrt()
    pull_a = (a @ (inverse @ q)).square() @ middle * (len(a) / (len(a) - 1))
    pull_b = (b @ (root @ q)).square() @ _reciprocal(middle) * (len(b) / (len(b) - 1))
    return middle.sum(), pull_a, pull_b


def _positive(values: Tensor) -> Tensor:
    """Eigenvalues of a positive semidefinite matrix; what rounding alone may have made of a zero is zero."""
    noise = float(values.max()) * len(values) * torch.finfo(values.dtype).eps
    return torch.where(values > max(noise, 0.0), values, 0.0)


def _reciprocal(values: Tensor) -> Tensor:
    return torch.where(values > 0, 1 / values, 0.0)
