"""The networks of LAPGAN's levels (Denton et al. 2015, arXiv:1506.05751; layers as in the authors' code for CIFAR-10,
github.com/facebookarchive/eyescream)."""

from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from components.networks.fully_connected import FullyConnectedGenerator
from components.networks.pyramid import up

Size = tuple[int, int]


class PyramidGenerator(nn.Module):
    """One latent a picture, (N, sum of `parts`), to pictures of the largest of several sizes, from -1 to 1.

    The first values of a latent are for the smallest picture. The others are planes of noise, one for each further
    level, which adds its residual to the enlarged picture of the level below.

    Args:
        latent: values for the smallest picture. sizes: (height, width) of each level, the smallest first, each twice as
            large as the one before. widths: of the smallest level's hidden layers. width: channels of the others.
        classes: of the condition; 0: none.

    Attributes:
        parts: how many values each level takes of a latent, which has their sum.
    """

    def __init__(
        self, latent: int, channels: int, sizes: list[Size], widths: tuple[int, ...], width: int, classes: int
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.parts = [latent, *(prod(size) for size in sizes[1:])]
        self.base = BaseGenerator(latent, channels, sizes[0], widths, classes)
        self.levels = nn.ModuleList(LevelGenerator(channels, size, width, classes) for size in sizes[1:])

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pictures of latents and, where there is a condition, of one-hot (N, classes)."""
        pictures: Tensor = self.base(self.part(latent, 0), condition)
        for level in range(1, len(self.sizes)):
            pictures = self.refined(pictures, latent, level, condition).clamp(-1, 1)
        return pictures

    def refined(self, coarse: Tensor, latent: Tensor, level: int, condition: Tensor | None) -> Tensor:
        """Pictures of a level, made from those of the level below; they may leave the range from -1 to 1."""
        blurred = up(coarse)
        noise = self.part(latent, level).unflatten(1, (1, *self.sizes[level]))
        residual: Tensor = self.levels[level - 1](noise, blurred, condition)
        return blurred + residual

    def part(self, latent: Tensor, level: int) -> Tensor:
        """What a level takes of latents."""
        return latent.split(self.parts, dim=1)[level]


class BaseGenerator(FullyConnectedGenerator):
    """The generator of the smallest pictures: fully connected, with the condition beside the latent."""

    def __init__(self, latent: int, channels: int, size: Size, widths: tuple[int, ...], classes: int) -> None:
        super().__init__(latent + classes, channels, size, widths)

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pictures from -1 to 1 of latents, (N, latent)."""
        return torch.tanh(super().forward(_beside(latent, condition)))


class BaseDiscriminator(nn.Module):
    """The discriminator of the smallest pictures: ReLU layers with dropout after each, to one logit, (N, 1)."""

    def __init__(self, channels: int, size: Size, widths: tuple[int, ...], dropout: float, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in pairwise((channels * prod(size) + classes, *widths)):
            layers += [nn.Linear(inside, outside), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, pictures: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits of pictures, (N, channels, H, W)."""
        logits: Tensor = self.layers(_beside(pictures.flatten(1), condition))
        return logits


class LevelGenerator(nn.Module):
    """Noise, (N, 1, H, W), and enlarged pictures, (N, channels, H, W), to the residuals that these lack."""

    def __init__(self, channels: int, size: Size, width: int, classes: int) -> None:
        super().__init__()
        self.plane = ClassPlane(classes, size) if classes else None
        self.layers = nn.Sequential(
            nn.Conv2d(channels + 1 + (classes > 0), width, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(width, width, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(width, channels, 5, padding=2),
        )

    def forward(self, noise: Tensor, blurred: Tensor, condition: Tensor | None = None) -> Tensor:
        """Residuals, linear."""
        given: Tensor = self.layers(torch.cat([noise, *_planes(self.plane, condition), blurred], dim=1))
        return given


class LevelDiscriminator(nn.Module):
    """Pictures of a level, residual and enlarged picture together, (N, channels, H, W), to one logit each, (N, 1)."""

    def __init__(self, channels: int, size: Size, width: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.plane = ClassPlane(classes, size) if classes else None
        ends = [(side - 8) // 2 for side in size]  # sides are even; no padding
        self.layers = nn.Sequential(
            nn.Conv2d(channels + (classes > 0), width, 5),
            nn.ReLU(),
            nn.Conv2d(width, width, 5, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(width * prod(ends), 1),
        )

    def forward(self, pictures: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits of pictures."""
        logits: Tensor = self.layers(torch.cat([pictures, *_planes(self.plane, condition)], dim=1))
        return logits


class ClassPlane(nn.Module):
    """A condition, one-hot (N, classes), as one plane of a picture's size, (N, 1, H, W)."""

    def __init__(self, classes: int, size: Size) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(classes, prod(size)), nn.ReLU(), nn.Unflatten(1, (1, *size)))

    def forward(self, condition: Tensor) -> Tensor:
        """Planes."""
        planes: Tensor = self.layers(condition)
        return planes


def _planes(plane: nn.Module | None, condition: Tensor | None) -> list[Tensor]:
    return [] if plane is None else [plane(condition)]


def _beside(values: Tensor, condition: Tensor | None) -> Tensor:
    return values if condition is None else torch.cat([values, condition.to(values.dtype)], dim=1)
