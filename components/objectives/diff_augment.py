"""DiffAugment: random changes of real and fake pictures before a discriminator sees them, which gradients go through
(Zhao et al. 2020, arXiv:2006.10738)."""

from typing import Literal

import torch
from torch import Tensor

from components.networks.noise import uniforms

AugmentName = Literal["colour", "translation", "cutout"]


def diff_augment(pictures: Tensor, names: tuple[AugmentName, ...], seeds: Tensor, stream: int) -> Tensor:
    """Pictures, (N, C, H, W), changed in the ways that are named, in that order; without names, as they are.

    Args:
        seeds: (N,); each picture's changes are decided by its seed and `stream` alone.
    """
    if not names:
        return pictures
    chances = uniforms(seeds, (7,), pictures.device, stream)
    for name in names:
        match name:
            case "colour":
                pictures = coloured(pictures, chances[:, :3])
            case "translation":
                pictures = translated(pictures, chances[:, 3:5])
            case "cutout":
                pictures = cut_out(pictures, chances[:, 5:])
    return pictures


def coloured(pictures: Tensor, chances: Tensor) -> Tensor:
    """Brightness shifted by -0.5 to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5.

    Args:
        chances: (N, 3), from 0 to 1.
    """
    brightness, saturation, contrast = chances.to(pictures.dtype)[:, :, None, None, None].unbind(1)
    pictures = pictures + (brightness - 0.5)
    grey = pictures.mean(dim=1, keepdim=True)
    pictures = grey + 2 * saturation * (pictures - grey)
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (contrast + 0.5) * (pictures - mean)


def translated(pictures: Tensor, chances: Tensor) -> Tensor:
    """Shifted by up to an eighth of either side in whole pixels, zeros coming in.

    Args:
        chances: (N, 2), from 0 to below 1: for the rows and the columns.
    """
    for dim in (2, 3):
        side = pictures.shape[dim]
        most = (side + 4) // 8
        shift = (chances[:, dim - 2] * (2 * most + 1)).long() - most
        places = torch.arange(side, device=pictures.device) - shift[:, None]
        view = (len(pictures), 1, side, 1) if dim == 2 else (len(pictures), 1, 1, side)
        within = ((places >= 0) & (places < side)).view(view)
        pictures = pictures.gather(dim, places.clamp(0, side - 1).view(view).expand_as(pictures)) * within
    return pictures


def cut_out(pictures: Tensor, chances: Tensor) -> Tensor:
    """With zeros in a rectangle of half of each side, whose centre lies anywhere, so that a part may be outside.

    Args:
        chances: (N, 2), from 0 to below 1: for the rows and the columns.
    """
    within = []
    for dim in (2, 3):
        side = pictures.shape[dim]
        half = (side + 1) // 2
        start = (chances[:, dim - 2] * (side + 1 - half % 2)).long() - half // 2
        steps = torch.arange(side, device=pictures.device) - start[:, None]
        within.append((steps >= 0) & (steps < half))
    return pictures * ~(within[0][:, None, :, None] & within[1][:, None, None, :])
