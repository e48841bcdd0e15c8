"""Feature matching: fakes whose features have, on average, the values that those of real pictures have."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce


def feature_matching(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """The squared distance between mean features, a mean over each layer's values, summed over the layers.

    Salimans et al. 2016 (arXiv:1606.03498, section 3.1). The means are over the joined batch of all ranks, so that
    the term does not depend on their number.

    Args:
        real, fake: features of equal shapes, (N, ...), layer by layer.
    """
    terms = [(_mean(a.detach()) - _mean(b)).square().mean() for a, b in zip(real, fake, strict=True)]
    return torch.stack(terms).sum()


def _mean(features: Tensor) -> Tensor:
    mean = features.mean(dim=0)
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        total: Tensor = all_reduce(mean)  # type: ignore[no-untyped-call]
        return total / dist.get_world_size()
    return mean
