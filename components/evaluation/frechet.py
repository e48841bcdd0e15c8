"""The Fréchet distance between two sets of features, exactly, and what each image adds to it."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from components.evaluation.sets import are_equal, require_sets
from components.networks.tensors import compute_device

_ROWS = 1024  # images of which float64 copies are in memory at once
_BLOCK = 256  # dimensions of a product at once

Pulls = tuple[Tensor, ...]  # of each set, for each image; empty where nobody wants influences


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
    return _measure(first, second, influences=False).value


def frechet(first: Tensor, second: Tensor) -> Frechet:
    """The distance with its influences, in float64, for an interval; it takes two to three times as long.

    With fewer images than dimensions the covariances are singular and never formed: for centred data
    A (n, d) and B (m, d), tr (S1 S2)^½ is the sum of the singular values of A Bᵀ / √((n-1)(m-1)).
    Otherwise it is the sum of the square roots of the eigenvalues of the symmetric Lᵀ S2 L, where S1 = L Lᵀ.
    """
    return _measure(first, second, influences=True)


def _measure(first: Tensor, second: Tensor, influences: bool) -> Frechet:
    """The distance; without `influences` they are empty."""
    require_sets("a Fréchet distance", first, second)
    equal = are_equal(first, second)
    first, second = first.to(compute_device()), second.to(compute_device())
    means = [_mean(z) for z in (first, second)]
    shift = means[0] - means[1]
    root = _from_data if min(len(first), len(second)) < first.shape[1] else _from_covariances
    trace, pulls = root(first, second, means, influences)
    # of each image, so that the mean over images is the trace of the unbiased covariance
    spreads = [
        _by_rows(z, mean, _length) * len(z) / (len(z) - 1) for z, mean in zip((first, second), means, strict=True)
    ]
    value = shift @ shift - 2 * trace + sum(spread.mean() for spread in spreads)
    found = []
    for z, mean, spread, pull, sign in zip((first, second), means, spreads, pulls, (2.0, -2.0), strict=False):
        influence = _by_rows(z, mean, partial(torch.mv, vec=sign * shift)) + spread - pull
        found.append((influence - influence.mean()).cpu())
    # The roots of what rounding makes of zeros can add up to 1e-7 of the spread.
    least = 0.0 if equal else max(0.0, float(value))
    return Frechet(least, *(found or [torch.empty(0)] * 2))


def _mean(z: Tensor) -> Tensor:
    """The mean image in float64, (d,)."""
    return torch.stack([rows.double().sum(0) for rows in z.split(_ROWS)]).sum(0) / len(z)


def _by_rows(z: Tensor, mean: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of each centred image, some images at a time: float64 copies of all would not fit in memory."""
    return torch.cat([function(rows.double() - mean) for rows in z.split(_ROWS)])


def _length(a: Tensor) -> Tensor:
    """The squared length of images (n, d), (n,)."""
    return a.square().sum(1)


def _squares(a: Tensor, along: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of squares of images (n, d) along some directions (d, k), (n,)."""
    return (a @ along).square() @ weights


def _blocks(dimensions: int) -> Iterator[slice]:
    """The dimensions, some at a time: half of a symmetric or triangular matrix need not be computed."""
    return (slice(start, min(start + _BLOCK, dimensions)) for start in range(0, dimensions, _BLOCK))


def _covariance(z: Tensor, mean: Tensor) -> Tensor:
    """The unbiased covariance, (d, d)."""
    total = torch.zeros(z.shape[1], z.shape[1], dtype=torch.float64, device=z.device)
    for rows in z.split(_ROWS):
        centred = rows.double() - mean
        for block in _blocks(z.shape[1]):
            total[block, : block.stop].addmm_(centred[:, block].T, centred[:, : block.stop])
    return (total.tril() + total.tril(-1).T) / (len(z) - 1)


def _from_data(first: Tensor, second: Tensor, means: list[Tensor], influences: bool) -> tuple[Tensor, Pulls]:
    """tr (S1 S2)^½ and, up to a constant, its doubled derivative by each image's weight; from (n, m) alone."""
    a, b = (z.double() - mean for z, mean in zip((first, second), means, strict=True))
    m = a @ b.T / ((len(a) - 1) * (len(b) - 1)) ** 0.5
    if not influences:
        return _singular_values(m).sum(), ()
    u, s, vh = _svd(m)
    return s.sum(), (len(a) * u.square() @ s, len(b) * vh.T.square() @ s)


def _singular_values(m: Tensor) -> Tensor:
    try:
        return torch.linalg.svdvals(m)
    except RuntimeError:  # as below
        return _svd(m)[1]


def _svd(m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    try:
        u, s, vh = torch.linalg.svd(m, full_matrices=False)
    except RuntimeError:  # divide and conquer now and then gives up on repeated values
        squares, u = torch.linalg.eigh(m @ m.T)
        s = _positive(squares).sqrt()
        vh = torch.where(s[:, None] > 0, (u.T @ m) / s[:, None], 0.0)
    return u, s, vh


def _from_covariances(first: Tensor, second: Tensor, means: list[Tensor], influences: bool) -> tuple[Tensor, Pulls]:
    """The same from the (d, d) covariances, whose ranks may be smaller than d.

    With any S1 = L Lᵀ and Lᵀ S2 L = Q D Qᵀ the trace is that of D^½, and its derivatives by S1 and S2 are half of
    L⁻ᵀ Q D^½ Qᵀ L⁻¹ and of L Q D^-½ Qᵀ Lᵀ.
    """
    s1, s2 = (_covariance(z, mean) for z, mean in zip((first, second), means, strict=True))
    lower = _cholesky(s1)
    if lower is None:
        values, basis = torch.linalg.eigh(s1)
        half = _positive(values).sqrt()
        root, middle = basis * half, (basis * half).T @ s2 @ (basis * half)
    else:
        root, middle = lower, _within(lower, s2)
    if not influences:
        return _positive(torch.linalg.eigvalsh(middle)).sqrt().sum(), ()
    values, q = torch.linalg.eigh(middle)
    roots = _positive(values).sqrt()
    inverse = basis * _reciprocal(half) @ q if lower is None else torch.linalg.solve_triangular(lower.T, q, upper=True)
    pull_a = _by_rows(first, means[0], partial(_squares, along=inverse, weights=roots))
    pull_b = _by_rows(second, means[1], partial(_squares, along=root @ q, weights=_reciprocal(roots)))
    pulls = (pull_a * (len(first) / (len(first) - 1)), pull_b * (len(second) / (len(second) - 1)))
    return roots.sum(), pulls


def _cholesky(s: Tensor) -> Tensor | None:
    """The lower triangular L of S = L Lᵀ, for a tenth of the work of eigenvectors; None where S is singular."""
    lower, info = torch.linalg.cholesky_ex(s)
    return None if int(info) else lower


def _within(lower: Tensor, s: Tensor) -> Tensor:
    """Lᵀ S L on and below the diagonal, where eigenvalues are read; half of the work of whole products."""
    left, product = torch.empty_like(s), torch.zeros_like(s)
    for block in _blocks(len(s)):
        torch.mm(lower[block.start :, block].T, s[block.start :], out=left[block])
    for block in _blocks(len(s)):
        torch.mm(left[: block.stop, block.start :], lower[block.start :, block], out=product[: block.stop, block])
    return product.T


def _positive(values: Tensor) -> Tensor:
    """Eigenvalues of a positive semidefinite matrix; what rounding alone may have made of a zero is zero."""
    noise = float(values.max()) * len(values) * torch.finfo(values.dtype).eps
    return torch.where(values > max(noise, 0.0), values, 0.0)


def _reciprocal(values: Tensor) -> Tensor:
    return torch.where(values > 0, 1 / values, 0.0)
