"""The generator of StyleGAN (Karras et al. 2019, arXiv:1812.04948), with all levels from the start.

Its discriminator is PG-GAN's, blurred (components/networks/pg_gan.py).
"""

import torch
from torch import Tensor, nn

from components.networks import across_ranks
from components.networks.equalised import EqualisedConv2d, EqualisedLinear, activated, pixel_norm
from components.networks.growing import SMALLEST, Growing, blended, blur, doubled, width_at

# The layers whose styles are of large forms, of smaller ones, and of colours and texture, as the paper groups them.
GROUPS = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, 99)}
_RATE = 0.01  # of the mapping's learning rate to that of the rest


def adain(x: Tensor, style: Tensor) -> Tensor:
    """Give each map of each picture (N, C, H, W) the deviation and the mean of its style (N, 2C).

    A style is first the deviations less 1, then the means.
    """
    centred = x - x.mean(dim=(2, 3), keepdim=True)
    normalised = centred * torch.rsqrt(centred.square().mean(dim=(2, 3), keepdim=True) + 1e-8)
    factor, mean = style[:, :, None, None].chunk(2, dim=1)
    return normalised * (factor + 1) + mean


class Mapping(nn.Module):
    """A latent (N, latent) to a point of W (N, latent); its linear layers have a hundredth of the learning rate."""

    def __init__(self, latent: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualisedLinear(latent, latent, rate=_RATE) for _ in range(layers))

    def forward(self, latent: Tensor) -> Tensor:
        """W of latents."""
        w = pixel_norm(latent)
        for layer in self.layers:
            w = activated(layer(w))
        return w


class Layer(nn.Module):
    """What follows a convolution: noise, bias, LeakyReLU, and a style out of W."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))
        self.style = EqualisedLinear(latent, 2 * width, gain=1)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """(N, width, H, W), of the same shape; noise is (N, 1, H, W)."""
        return adain(activated(x + self.strength * noise + self.bias), self.style(w))


class Synthesis(nn.Module):
    """W, one for each layer, and noise to pictures: two layers a level, of which the first begins with a constant."""

    def __init__(self, latent: int, channels: int, levels: int, width: int) -> None:
        super().__init__()
        widths = [width_at(level, width) for level in range(levels + 1)]
        self.constant = nn.Parameter(torch.ones(widths[0], SMALLEST, SMALLEST))
        inside = [widths[max(0, i // 2 - 1 + i % 2)] for i in range(1, 2 * levels + 2)]
        # Their biases are those of the layers, after the noise.
        self.convolutions = nn.ModuleList(
            EqualisedConv2d(before, widths[i // 2], 3, bias=False) for i, before in enumerate(inside, 1)
        )
        self.layers = nn.ModuleList(Layer(own, latent) for own in widths for _ in range(2))
        self.to_pictures = nn.ModuleList(EqualisedConv2d(own, channels, 1, gain=1) for own in widths)

    def forward(self, w: Tensor, noise: list[Tensor], level: int, alpha: Tensor | float | None) -> Tensor:
        """Pictures of a level, (N, channels, S, S), of W (N, layers, latent), faded in by alpha."""
        x = below = self.layers[0](self.constant.expand(w.shape[0], -1, -1, -1), w[:, 0], noise[0])
        for i in range(1, 2 * level + 2):
            if i % 2 == 0:
                below, x = x, doubled(x)
            x = self.convolutions[i - 1](x)
            x = self.layers[i](blur(x) if i % 2 == 0 else x, w[:, i], noise[i])
        made: Tensor = self.to_pictures[level](x)
        return made if alpha is None else blended(doubled(self.to_pictures[level - 1](below)), made, alpha)


class StyleGANGenerator(Growing):
    """A mapping and a synthesis, and the average of W, which the truncation goes towards.

    Args:
        width: channels of up to 32 pixels, halved at each doubling above.
        levels: doublings from 4 pixels to the pictures' side.
        mapping: layers of the mapping.

    Attributes:
        average: (latent,), a buffer: the running average of W in training.
    """

    average: Tensor

    def __init__(self, latent: int, channels: int, levels: int, width: int, mapping: int) -> None:
        super().__init__(levels)
        self.mapping = Mapping(latent, mapping)
        self.synthesis = Synthesis(latent, channels, levels, width)
        self.register_buffer("average", torch.zeros(latent))

    @property
    def sides(self) -> list[tuple[int, int]]:
        """Those of each layer's maps, and of its noise."""
        return [(SMALLEST * 2 ** (i // 2),) * 2 for i in range(len(self.synthesis.layers))]

    @torch.no_grad()
    def remember(self, w: Tensor, decay: float) -> None:
        """Take W (N, latent) of all ranks into the average."""
        self.average.lerp_(across_ranks.mean(w.detach().float().mean(dim=0)), 1 - decay)

    def truncated(self, w: Tensor, psi: Tensor, layers: int) -> Tensor:
        """W (N, layers, latent), of which the first `layers` lie only psi (N,) times as far from the average."""
        near = torch.lerp(self.average, w[:, :layers], psi.to(w)[:, None, None])
        return torch.cat([near, w[:, layers:]], dim=1)

    def each(self, w: Tensor) -> Tensor:
        """The same W (N, latent) for all layers, (N, layers, latent)."""
        return w[:, None].expand(-1, len(self.synthesis.layers), -1)

    def forward(self, w: Tensor, noise: list[Tensor]) -> Tensor:
        """Pictures of the whole size, as far as it has grown, of W (N, layers, latent)."""
        return self.whole(self.synthesis(w, noise, self.level, self.share))
