"""What sets of images need before they can be measured, and what makes their metrics doubtful."""

import torch
from torch import Tensor

from components.faults import Fault

_FEW = 30  # images below which a bootstrap interval is rough
_ROUNDING = 1e-3  # of the largest feature: what the place in a batch changes


def require_sets(what: str, *sets: Tensor) -> None:
    """Refuse sets of features that no figure can be made of.

    Args:
        what: the figure, with its article. sets: (n, d) each.

    Raises:
        Fault: fewer than two images, features that are not finite, or sets of unlike dimensions.
    """
    for features in sets:
        if len(features) < 2:
            raise Fault(f"{what} needs at least 2 images on each side; there is {len(features)}")
        if not bool(features.isfinite().all()):
            raise Fault(f"{what} needs finite features; look for broken images or weights")
        if features.shape[1] != sets[0].shape[1]:
            dimensions = f"{sets[0].shape[1]} and {features.shape[1]} dimensions"
            raise Fault(f"{what} needs features of one network; these have {dimensions}")


def is_flat(features: Tensor) -> bool:
    """Whether all images of a set (n, d) are one and the same, to rounding."""
    spread = (features - features.mean(0)).abs().max()
    return bool(spread <= _ROUNDING * features.abs().max())


def are_equal(first: Tensor, second: Tensor) -> bool:
    """Whether two sets (n, d) hold the very same images, in any order."""
    if first.shape != second.shape:
        return False
    if torch.equal(first, second):
        return True
    a, b = (x.sum(1).sort() for x in (first, second))
    if not torch.equal(a.values, b.values):  # a cheap no
        return False
    kinds = (torch.unique(x, dim=0, return_counts=True) for x in (first, second))
    return all(torch.equal(*pair) for pair in zip(*kinds, strict=True))


def doubts(first: Tensor, second: Tensor, least: int | None = None) -> dict[str, str]:
    """What a reader must know about a distance between two sets: {"note": ...}, or nothing.

    Args:
        least: images that each side must have more of for the figure to be unbiased; None: an unbiased figure,
            whose interval alone is rough where images are few.
    """
    images = min(len(first), len(second))
    found = []
    if least is None and images < _FEW:
        found.append(f"few: {images} images")
    if least is not None and images <= least:
        found.append(f"biased: {images} images for {least} dimensions")
    if are_equal(first, second):
        found.append("equal: the two sets are the same images")
    flat = [side for side, features in (("measured", first), ("true", second)) if is_flat(features)]
    if flat:
        found.append(f"flat: all {' and all '.join(flat)} images are alike")
    return {"note": "; ".join(found)} if found else {}
