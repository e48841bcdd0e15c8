"""Feature matching: fakes whose features have, on average, the values that those of real pictures have."""

import torch
from torch import Tensor

from components.networks import across_ranks


def feature_matching(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """The squared distance between mean features, a mean over each layer's values, summed over the layers.

    Salimans et al. 2016 (arXiv:1606.03498, section 3.1). The means are over the joined batch of all ranks; with a
    mean over the ranks of what they learn from it, the term does not depend on their number.

    Args:
        real, fake: features of equal shapes, (N, ...), layer by layer; only what made the fakes learns.
    """
    terms = [
        (across_ranks.mean(b.mean(dim=0)) - across_ranks.mean(a.detach().mean(dim=0))).square().mean()
        for a, b in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).sum()
