"""The pulling-away term, which keeps the pictures of a batch from being alike (Zhao et al. 2017, arXiv:1609.03126,
section 2.4)."""

import torch.nn.functional as F
from torch import Tensor

from components.networks import across_ranks


def pulling_away(codes: Tensor) -> Tensor:
    """The mean squared cosine between the codes of two different pictures, over all pairs of the joined batch.

    Args:
        codes: (N, ...) of this rank; over all ranks there must be two or more for the term to be anything but 0.

    Returns:
        A scalar from 0, all orthogonal, to 1, all along one line.
    """
    directions = across_ranks.gather(F.normalize(codes.flatten(1).float(), dim=1))
    squared = (directions @ directions.T).square()
    count = len(directions)
    return (squared.sum() - squared.diagonal().sum()) / max(1, count * (count - 1))
