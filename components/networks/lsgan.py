"""The networks that LSGAN's paper draws for scenes (Mao et al. 2017, arXiv:1611.04076, figure 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.dcgan import base_of
from components.networks.layers import NormName, needs_bias, norm


class LSGANGenerator(nn.Module):
    """A latent, (N, latent), to pictures before their output activation, (N, channels, H, W).

    One linear layer to maps of 7 to 13 pixels, transposed 3x3 convolutions of stride 2 that double them, each but the
    last two followed by one of stride 1, and a last one to the pictures; ReLU after each but that.

    Args:
        size: (height, width). width: channels before the pictures; twice as many a doubling before, from there on four
            times as many.
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, int], width: int, norms: NormName) -> None:
        super().__init__()
        self._base, levels = _base_of(size)
        bias = needs_bias(norms)
        inside = 4 * width
        self.start = nn.Linear(latent, inside * self._base[0] * self._base[1])
        self.norms, self.layers = nn.ModuleList([norm(norms, inside)]), nn.ModuleList()
        for level in reversed(range(levels)):
            outside = width * 2 ** min(level, 2)
            for stride in (2, 1) if level > 1 else (2,):
                self.layers.append(nn.ConvTranspose2d(inside, outside, 3, stride, 1, stride - 1, bias=bias))
                self.norms.append(norm(norms, outside))
                inside = outside
        self.end = nn.ConvTranspose2d(inside, channels, 3, 1, 1)

    def forward(self, latent: Tensor) -> Tensor:
        """Pictures of latents."""
        x = torch.relu(self.norms[0](self.start(latent).unflatten(1, (-1, *self._base))))
        for layer, normalise in zip(self.layers, self.norms[1:], strict=True):
            x = torch.relu(normalise(layer(x)))
        pictures: Tensor = self.end(x)
        return pictures


class LSGANDiscriminator(nn.Module):
    """Pictures, (N, channels, H, W), to one value each, (N, 1).

    5x5 convolutions of stride 2 down to 7 to 13 pixels, then one linear layer; LeakyReLU 0.2, no normalisation after
    the first.

    Args:
        width: channels after the first layer, doubled at each further one.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int, norms: NormName) -> None:
        super().__init__()
        base, levels = _base_of(size)
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for level in range(levels):
            outside = width * 2**level
            self.layers.append(nn.Conv2d(channels, outside, 5, 2, 2, bias=level == 0 or needs_bias(norms)))
            self.norms.append(norm(norms, outside) if level else nn.Identity())
            channels = outside
        self.end = nn.Linear(channels * base[0] * base[1], 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Values of pictures."""
        x = pictures
        for layer, normalise in zip(self.layers, self.norms, strict=True):
            x = F.leaky_relu(normalise(layer(x)), 0.2)
        values: Tensor = self.end(x.flatten(1))
        return values


def _base_of(size: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """As `base_of`, down to 7 to 13 pixels: 7 of the paper's 112, 8 of 128."""
    base, levels = base_of(size)
    return (base, levels) if min(base) == 7 else ((2 * base[0], 2 * base[1]), levels - 1)
