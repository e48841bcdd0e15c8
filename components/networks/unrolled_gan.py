"""The networks of Unrolled GAN for stacked digits, both with three levels (Metz et al. 2017, arXiv:1611.02163,
appendix)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.layers import NormName, norm

_LEVELS = 3


class StackedGenerator(nn.Module):
    """A latent, (N, latent), to pictures before their output activation, (N, channels, H, W).

    A linear layer to the smallest maps, three transposed convolutions of 3 pixels and stride 2, ReLU after each, and a
    convolution.

    Args:
        size: (height, width), whatever they are: each level has half the side of the next, rounded up.
        width: channels before the last layer; twice as many at each level towards the latent.
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, int], width: int, norms: NormName) -> None:
        super().__init__()
        sizes = [size]
        for _ in range(_LEVELS):
            sizes.insert(0, ((sizes[0][0] + 1) // 2, (sizes[0][1] + 1) // 2))
        widths = [width * 2**level for level in range(_LEVELS, -1, -1)]
        self._start = (widths[0], *sizes[0])
        self.start = nn.Linear(latent, widths[0] * sizes[0][0] * sizes[0][1])
        self.norms = nn.ModuleList(norm(norms, wide) for wide in widths)
        self.layers = nn.ModuleList()
        for level in range(_LEVELS):
            (h, w), (high, wide) = sizes[level], sizes[level + 1]
            missing = (high - (2 * h - 1), wide - (2 * w - 1))
            self.layers.append(nn.ConvTranspose2d(widths[level], widths[level + 1], 3, 2, 1, missing))
        self.end = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """Pictures of latents."""
        x = torch.relu(self.norms[0](self.start(latent).unflatten(1, self._start)))
        for i, layer in enumerate(self.layers):
            x = torch.relu(self.norms[i + 1](layer(x)))
        pictures: Tensor = self.end(x)
        return pictures


class StackedDiscriminator(nn.Module):
    """Pictures, (N, channels, H, W), to one logit each, (N, 1): three convolutions of stride 2, LeakyReLU 0.3.

    Args:
        width: channels after the first layer, doubled at each further one.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int, norms: NormName) -> None:
        super().__init__()
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for level in range(_LEVELS):
            out = width * 2**level
            self.layers.append(nn.Conv2d(channels, out, 3, 2, 1))
            self.norms.append(norm(norms, out))
            channels, size = out, ((size[0] + 1) // 2, (size[1] + 1) // 2)
        self.end = nn.Linear(channels * size[0] * size[1], 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of pictures."""
        x = pictures
        for layer, normalise in zip(self.layers, self.norms, strict=True):
            x = F.leaky_relu(normalise(layer(x)), 0.3)
        logits: Tensor = self.end(x.flatten(1))
        return logits
