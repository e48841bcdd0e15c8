"""The Laplacian pyramid of Burt and Adelson (1983, doi:10.1109/TCOM.1983.1095851): pictures of several sizes and what
each adds to the one below it. All that changes the size of a picture goes through this one pair of filters."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor


def down(pictures: Tensor) -> Tensor:
    """Pictures (N, C, H, W) of half the size: the mean of each square of four pixels. H and W are even."""
    return F.avg_pool2d(pictures, 2)


def up(pictures: Tensor) -> Tensor:
    """Pictures (N, C, H, W) of twice the size: linear between the centres of pixels, constant beyond the outer ones."""
    return F.interpolate(pictures, scale_factor=2.0, mode="bilinear", align_corners=False)


def pyramid(pictures: Tensor, levels: int) -> list[Tensor]:
    """Pictures of `levels` + 1 sizes, the smallest first and those that are given last."""
    found = [pictures]
    for _ in range(levels):
        found.append(down(found[-1]))
    return found[::-1]


def residuals(pictures: Tensor, levels: int) -> list[Tensor]:
    """What each level adds to the enlarged picture of the level below, the smallest first."""
    sizes = pyramid(pictures, levels)
    return [fine - up(coarse) for coarse, fine in pairwise(sizes)]
