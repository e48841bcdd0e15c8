"""The fully connected networks of the first GAN (Goodfellow et al. 2014, arXiv:1406.2661)."""

from itertools import pairwise
from math import prod

from torch import Tensor, nn

from components.networks.maxout import Maxout


class FullyConnectedGenerator(nn.Module):
    """A latent, (N, latent), through ReLU layers to pictures before their output activation, (N, channels, H, W)."""

    def __init__(self, latent: int, channels: int, size: tuple[int, int], widths: tuple[int, ...]) -> None:
        super().__init__()
        self._shape = (channels, *size)
        layers: list[nn.Module] = []
        for inside, outside in pairwise((latent, *widths)):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], prod(self._shape)))

    def forward(self, latent: Tensor) -> Tensor:
        """Pictures of latents."""
        pictures: Tensor = self.layers(latent).unflatten(1, self._shape)
        return pictures


class FullyConnectedDiscriminator(nn.Module):
    """Pictures, (N, channels, H, W), through maxout layers with dropout before each to one logit each, (N, 1).

    Args:
        pieces: of each maxout unit; 1: ReLU instead.
        dropout_input, dropout: shares of the pictures' values, and of the hidden ones, that are left out.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        widths: tuple[int, ...],
        pieces: int,
        dropout_input: float,
        dropout: float,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Dropout(dropout_input)]
        for inside, outside in pairwise((channels * size[0] * size[1], *widths)):
            layers += [Maxout(inside, outside, pieces)] if pieces > 1 else [nn.Linear(inside, outside), nn.ReLU()]
            layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of pictures."""
        logits: Tensor = self.layers(pictures.flatten(1))
        return logits
