"""The networks of fully connected layers that the first conditional GAN had (Mirza and Osindero 2014,
arXiv:1411.1784; Goodfellow et al. 2013, arXiv:1302.4389)."""

import torch
from torch import Tensor, nn


class Maxout(nn.Module):
    """(N, inputs) to (N, units): the greatest of `pieces` linear functions of each unit."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self._pieces = pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """The greatest of each unit's pieces."""
        return self.linear(x).unflatten(1, (-1, self._pieces)).amax(dim=2)


class MLPGenerator(nn.Module):
    """A latent and a condition, each through a layer of its own, then both through one, to pictures (N, C, H, W).

    Pictures come before their output activation.
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, int], classes: int, dropout: float) -> None:
        super().__init__()
        self._shape = (channels, *size)
        self.latent, self.condition = nn.Linear(latent, 200), nn.Linear(classes, 1000)
        self.joint, self.end = nn.Linear(1200, 1200), nn.Linear(1200, channels * size[0] * size[1])
        self.dropout = nn.Dropout(dropout)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Pictures of latents and one-hot (N, classes)."""
        x = torch.cat([torch.relu(self.latent(latent)), torch.relu(self.condition(condition))], dim=1)
        x = self.dropout(torch.relu(self.joint(self.dropout(x))))
        pictures: Tensor = self.end(x).unflatten(1, self._shape)
        return pictures


class MaxoutDiscriminator(nn.Module):
    """Pictures and a condition, each through a maxout layer of its own, then both through one, to a logit (N, 1)."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int, dropout: float) -> None:
        super().__init__()
        self.pictures, self.condition = Maxout(channels * size[0] * size[1], 240, 5), Maxout(classes, 50, 5)
        self.joint, self.end = Maxout(290, 240, 4), nn.Linear(240, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pictures: Tensor, condition: Tensor) -> Tensor:
        """Logits of pictures and one-hot (N, classes)."""
        x = torch.cat([self.pictures(pictures.flatten(1)), self.condition(condition)], dim=1)
        logits: Tensor = self.end(self.dropout(self.joint(self.dropout(x))))
        return logits
