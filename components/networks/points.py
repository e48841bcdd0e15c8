"""Small fully connected networks for points of the plane, as on the toys of Metz et al. 2017 (arXiv:1611.02163)."""

from torch import Tensor, nn

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


class PointDiscriminator(nn.Module):
    """Points (N, 2, 1, 1) to one logit each, (N, 1), by the same layers."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = _mlp(2, width, depth, 1)

    def forward(self, points: Tensor) -> Tensor:
        """Logits of points."""
        logits: Tensor = self.layers(_SCALE * points.flatten(1))
        return logits


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
