"""The residual generator and critic of WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028, appendix F)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.dcgan import base_of

Resample = Literal["up", "down", "none"]


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is 1x1 where the size changes.

    Args:
        resample: up doubles the sides (nearest) before the first convolution, down halves them (mean) after the second.
        batch_norm: before each convolution; the critic has none, since a penalty is of one sample's own gradient.
        first: the block that sees pictures: no activation before it, and its shortcut is pooled before its convolution.
    """

    def __init__(self, channels: int, width: int, resample: Resample, batch_norm: bool, first: bool = False) -> None:
        super().__init__()
        self._resample, self._first = resample, first
        self.norms = nn.ModuleList(
            [nn.BatchNorm2d(c) if batch_norm else nn.Identity() for c in (channels, width)] if not first else []
        )
        self.convolutions = nn.ModuleList(nn.Conv2d(c, width, 3, padding=1) for c in (channels, width))
        self.shortcut = nn.Conv2d(channels, width, 1) if resample != "none" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, width, H', W')."""
        if self._first:
            beside = self.shortcut(F.avg_pool2d(x, 2))
            inner = self.convolutions[1](torch.relu(self.convolutions[0](x)))
            return beside + F.avg_pool2d(inner, 2)
        inner = torch.relu(self.norms[0](x))
        if self._resample == "up":
            inner, x = (F.interpolate(part, scale_factor=2.0, mode="nearest") for part in (inner, x))
        inner = self.convolutions[0](inner)
        inner = self.convolutions[1](torch.relu(self.norms[1](inner)))
        beside = self.shortcut(x)
        if self._resample == "down":
            inner, beside = F.avg_pool2d(inner, 2), F.avg_pool2d(beside, 2)
        return beside + inner


class ResidualGenerator(nn.Module):
    """A latent, (N, latent), to pictures before their output activation, (N, channels, H, W).

    Args:
        size: (height, width), of which the blocks double the smallest maps as often as brings them there.
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        self._base, levels = base_of(size)
        self.start = nn.Linear(latent, width * self._base[0] * self._base[1])
        self.blocks = nn.Sequential(*(Block(width, width, "up", batch_norm=True) for _ in range(levels)))
        self.norm = nn.BatchNorm2d(width)
        self.end = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """Pictures of latents."""
        x = self.start(latent).unflatten(1, (-1, *self._base))
        pictures: Tensor = self.end(torch.relu(self.norm(self.blocks(x))))
        return pictures


class ResidualCritic(nn.Module):
    """Pictures, (N, channels, H, W), to one value each, (N, 1); two blocks halve, two more keep the size.

    Args:
        levels: blocks that halve the sides, the first included.
        pooled: how the last maps become one value each; sum, as SN-GAN has it, and then the last layer has no bias.
    """

    def __init__(self, channels: int, width: int, levels: int = 2, pooled: Literal["mean", "sum"] = "mean") -> None:
        super().__init__()
        self._pooled = pooled
        blocks = [Block(channels, width, "down", batch_norm=False, first=True)]
        blocks += [Block(width, width, "down", batch_norm=False) for _ in range(levels - 1)]
        blocks += [Block(width, width, "none", batch_norm=False) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)
        self.end = nn.Linear(width, 1, bias=pooled == "mean")

    def forward(self, pictures: Tensor) -> Tensor:
        """Values of pictures."""
        maps = torch.relu(self.blocks(pictures))
        values: Tensor = self.end(maps.mean(dim=(2, 3)) if self._pooled == "mean" else maps.sum(dim=(2, 3)))
        return values
