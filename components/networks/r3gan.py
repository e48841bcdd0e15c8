"""The plain residual networks of R3GAN (Huang et al. 2024, arXiv:2501.05441, configuration E): grouped convolutions, no
normalisation, resampling with a smooth filter. Sizes and initialisation are those of the authors' code."""

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.dcgan import base_of

_Layer = TypeVar("_Layer", nn.Conv2d, nn.Linear)
_GROUP = 16  # channels of each group of a convolution
_GAIN = math.sqrt(2 / (1 + 0.2**2))  # of LeakyReLU 0.2


class Block(nn.Module):
    """A shortcut beside a 1x1, a grouped 3x3 and a 1x1 convolution; twice the channels between, LeakyReLU 0.2 after the
    first two.

    The last one starts at 0, so the block starts as the identity, and the others smaller the more blocks there are
    (Zhang et al. 2019, arXiv:1901.09321).

    Args:
        blocks: of the whole network.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        inner = 2 * width
        groups = inner // _GROUP if inner % _GROUP == 0 else 1
        self.first = nn.Conv2d(width, inner, 1)
        self.second = nn.Conv2d(inner, inner, 3, padding=1, groups=groups)
        self.third = nn.Conv2d(inner, width, 1, bias=False)
        for layer in (self.first, self.second):
            _init(layer, _GAIN * blocks**-0.25)
        nn.init.zeros_(self.third.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W), of the same shape."""
        inner = F.leaky_relu(self.second(F.leaky_relu(self.first(x), 0.2)), 0.2)
        y: Tensor = x + self.third(inner)
        return y


class Resample(nn.Module):
    """Maps of twice or half the sides, through the filter 1, 3, 3, 1 in each direction, edges padded with 0."""

    def __init__(self, up: bool) -> None:
        super().__init__()
        self._up = up

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 2H, 2W) or (N, C, H/2, W/2)."""
        x = F.interpolate(x, scale_factor=2.0, mode="nearest") if self._up else x
        smooth = F.avg_pool2d(F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 2, 1), 2, 1)  # 1, 3, 3, 1 is 1, 1 thrice
        return smooth if self._up else F.avg_pool2d(smooth, 2)


class R3GANGenerator(nn.Module):
    """A latent, (N, latent), to pictures before their output activation, (N, channels, H, W).

    The latent scales learned maps of the smallest size, then each size has its blocks.

    Args:
        width: channels of maps of up to 32 pixels, halved at each doubling above. blocks: of each size.
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, int], width: int, blocks: int) -> None:
        super().__init__()
        base, levels = base_of(size)
        widths = _widths(width, levels)
        self.maps = nn.Parameter(torch.randn(widths[0], *base))
        self.start = _init(nn.Linear(latent, widths[0], bias=False))
        layers: list[nn.Module] = []
        for level, wide in enumerate(widths):
            if level:
                layers += [_narrowed(widths[level - 1], wide), Resample(up=True)]
            layers += [Block(wide, blocks * len(widths)) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.end = _init(nn.Conv2d(widths[-1], channels, 1, bias=False))

    def forward(self, latent: Tensor) -> Tensor:
        """Pictures of latents."""
        pictures: Tensor = self.end(self.layers(self.maps * self.start(latent)[:, :, None, None]))
        return pictures


class R3GANDiscriminator(nn.Module):
    """Pictures, (N, channels, H, W), to one logit each, (N, 1): the generator's mirror.

    Args:
        width, blocks: as of the generator.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int, blocks: int) -> None:
        super().__init__()
        base, levels = base_of(size)
        widths = _widths(width, levels)[::-1]
        self.start = _init(nn.Conv2d(channels, widths[0], 1, bias=False))
        layers: list[nn.Module] = []
        for level, wide in enumerate(widths):
            if level:
                layers += [Resample(up=False), _narrowed(widths[level - 1], wide)]
            layers += [Block(wide, blocks * len(widths)) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.maps = nn.Parameter(torch.randn(widths[-1], *base) / math.sqrt(math.prod(base)))
        self.end = _init(nn.Linear(widths[-1], 1, bias=False))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of pictures."""
        logits: Tensor = self.end((self.maps * self.layers(self.start(pictures))).sum(dim=(2, 3)))
        return logits


def _widths(width: int, levels: int) -> list[int]:
    """Channels of each size, from the smallest: three doublings keep them."""
    return [max(1, width // 2 ** max(0, level - 3)) for level in range(levels + 1)]


def _narrowed(inside: int, outside: int) -> nn.Module:
    return nn.Identity() if inside == outside else _init(nn.Conv2d(inside, outside, 1, bias=False))


def _init(layer: _Layer, gain: float = 1.0) -> _Layer:
    """Normal with the deviation gain / sqrt(inputs of a unit); biases 0."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
