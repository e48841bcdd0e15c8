"""How far two sets of features are apart, without bias: what a KID is in the features of a network."""

from torch import Tensor


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x·y / d + 1)³ of each of the features x (n, d) and each of y (m, d): (n, m)."""
    k: Tensor = (x @ y.T / x.shape[1] + 1) ** 3
    return k


def kernel_distance(first: Tensor, second: Tensor) -> Tensor:
    """The unbiased squared MMD under k(x, y) = (x·y / d + 1)³, a scalar, float64 (Bińkowski et al. 2018,
    arXiv:1801.01401). It may be slightly below 0 where the sets agree.

    Args:
        first: features (n, d). second: features (m, d). At least two of each.
    """
    x, y = first.double(), second.double()
    return _within(x) + _within(y) - 2 * kernel(x, y).mean()


def _within(z: Tensor) -> Tensor:
    """The mean over all pairs of two."""
    k = kernel(z, z)
    return (k.sum() - k.diagonal().sum()) / (len(z) * (len(z) - 1))
