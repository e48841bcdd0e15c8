"""How far two sets of pictures are apart, with no pairs, no network and nothing learned."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sliced_wasserstein(first: Tensor, second: Tensor, patch: int = 7, slices: int = 32, stride: int = 3) -> Tensor:
    """The sliced Wasserstein distance between the patches of two sets, a scalar (Karras et al. 2018,
    arXiv:1710.10196, section 5, on one scale).

    Patches are projected on random directions, the same at every call, and the sorted projections compared: which
    picture stands where in its set does not matter. For N pictures a side it is a figure of the set, not a mean
    over the pictures, and larger for small sets.

    Args:
        first, second: (N, C, H, W) of one shape, sides at least `patch`.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(slices, first.shape[1], patch, patch, generator=generator)
    directions /= directions.flatten(1).norm(dim=1)[:, None, None, None]

    def slopes(pictures: Tensor) -> Tensor:
        projected = F.conv2d(pictures.float(), directions.to(pictures.device), stride=stride)
        return projected.transpose(0, 1).flatten(1).sort(dim=1).values

    return (slopes(first) - slopes(second)).abs().mean()
