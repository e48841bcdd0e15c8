"""Small fully connected networks for points of the plane, as on the toys of Metz et al. 2017 (arXiv:1611.02163)."""

import torch
from torch import Tensor, nn

from components.networks.mgan import heads_of

_SCALE = 0.25  # of points, before the discriminator's first layer: the ring then lies within -1 and 1


class PointGenerator(nn.Module):
    """Latents (N, latent) to points (N, 2, 1, 1): ReLU after each hidden layer, none after the last."""

    def __init__(self, latent: int, width: int, depth: int) -> None:
        super().__init__()
        self.layers = _mlp(latent, width, depth, 2)

    def forward(self, latent: Tensor) -> Tensor:
        """Points of latents."""
        points: Tensor = self.layers(latent)
        return points[:, :, None, None]


class PointHeads(PointGenerator):
    """MGAN's generators of points, which share all but their first layer, as in its paper's toy.

    In use, one head makes each point: a latent, (N, latent + 1), has a last value that decides which.

    Args:
        normal: whether the values of a latent are unit normal; else they are uniform from -1 to 1.
    """

    def __init__(self, num_heads: int, latent: int, width: int, depth: int, normal: bool) -> None:
        super().__init__(width, width, depth - 1)
        self._normal = normal
        self.heads = nn.ModuleList(_mlp(latent, width, 1, width)[:2] for _ in range(num_heads))

    def forward(self, latent: Tensor) -> Tensor:
        """A point of each latent, by the head that its last value decides."""
        started = torch.stack([head(latent[:, :-1]) for head in self.heads], dim=1)
        return super().forward((started * heads_of(latent[:, -1], len(self.heads), self._normal)).sum(dim=1))

    def of_every_head(self, latent: Tensor) -> Tensor:
        """Points by every head of the same latents, (N, latent), as (heads * N, 2, 1, 1), head after head."""
        return super().forward(torch.cat([head(latent) for head in self.heads]))


class PointDiscriminator(nn.Module):
    """Points (N, 2, 1, 1) to so many logits each, (N, outputs), by the same layers."""

    def __init__(self, width: int, depth: int, outputs: int = 1) -> None:
        super().__init__()
        self.layers = _mlp(2, width, depth, outputs)

    def forward(self, points: Tensor) -> Tensor:
        """Logits of points."""
        logits: Tensor = self.layers(_SCALE * points.flatten(1))
        return logits


class PointAutoencoder(nn.Module):
    """Points (N, 2, 1, 1) to the same points as it rebuilds them, and their codes, (N, code)."""

    def __init__(self, encoder: PointDiscriminator, decoder: PointGenerator) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points rebuilt, and codes."""
        codes = self.encoder(points)
        return self.decoder(codes), codes


def _mlp(given: int, width: int, depth: int, made: int) -> nn.Sequential:
    """Orthogonal weights of gain 0.8, biases 0."""
    layers: list[nn.Module] = []
    for place in range(depth):
        layers += [nn.Linear(width if place else given, width), nn.ReLU()]
    layers.append(nn.Linear(width, made))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight, 0.8)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)
