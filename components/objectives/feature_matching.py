"""Feature matching: fakes whose features have, on average, the values that those of real pictures have."""

import torch
import torch.distributed as dist
from torch import Tensor


def feature_matching(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """The squared distance between mean features, a mean over each layer's values, summed over the layers.

    Salimans et al. 2016 (arXiv:1606.03498, section 3.1). The means are over the joined batch of all ranks; with a
    mean over the ranks of what they learn from it, the term does not depend on their number.

    Args:
        real, fake: features of equal shapes, (N, ...), layer by layer; only what made the fakes learns.
    """
    terms = [(_mean(b) - _mean(a).detach()).square().mean() for a, b in zip(real, fake, strict=True)]
    return torch.stack(terms).sum()


def _mean(features: Tensor) -> Tensor:
    """The mean over the samples of all ranks, with the gradient of this rank's part alone."""
    mean = features.mean(dim=0)
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return mean
    everyone = mean.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(everyone)
    return mean + (everyone / dist.get_world_size() - mean.detach())
