"""The standard CNN of SN-GAN (Miyato et al. 2018, arXiv:1802.05957, table 3)."""

from torch import Tensor, nn

from components.networks.dcgan import base_of


class SNGenerator(nn.Module):
    """A latent, (N, latent), to pictures before their output activation, (N, channels, H, W).

    One linear layer to the smallest maps, transposed 4x4 convolutions of stride 2, a 3x3 one; BatchNorm and ReLU after
    each but the last.

    Args:
        width: channels before the pictures; twice as many at each level towards the latent.
    """

    def __init__(self, latent: int, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        self._base, levels = base_of(size)
        wide = width * 2**levels
        self.start = nn.Linear(latent, wide * self._base[0] * self._base[1])
        layers: list[nn.Module] = [nn.BatchNorm2d(wide), nn.ReLU()]
        for level in reversed(range(levels)):
            out = width * 2**level
            layers += [nn.ConvTranspose2d(wide, out, 4, 2, 1), nn.BatchNorm2d(out), nn.ReLU()]
            wide = out
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide, channels, 3, 1, 1))

    def forward(self, latent: Tensor) -> Tensor:
        """Pictures of latents."""
        pictures: Tensor = self.layers(self.start(latent).unflatten(1, (-1, *self._base)))
        return pictures


class SNDiscriminator(nn.Module):
    """Pictures, (N, channels, H, W), to one logit each, (N, 1).

    At each level a 3x3 convolution and a 4x4 one of stride 2, which doubles the channels; a last 3x3 one; one linear
    layer. LeakyReLU 0.1, no normalisation but that of the weights.

    Args:
        width: channels after the first layer.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        base, levels = base_of(size)
        layers: list[nn.Module] = []
        wide = width
        for _ in range(levels):
            layers += [nn.Conv2d(channels, wide, 3, 1, 1), nn.LeakyReLU(0.1)]
            layers += [nn.Conv2d(wide, 2 * wide, 4, 2, 1), nn.LeakyReLU(0.1)]
            channels = wide = 2 * wide
        layers += [nn.Conv2d(channels, wide, 3, 1, 1), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*layers)
        self.end = nn.Linear(wide * base[0] * base[1], 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of pictures."""
        logits: Tensor = self.end(self.layers(pictures).flatten(1))
        return logits
