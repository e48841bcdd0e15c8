"""The coupled networks of CoGAN (Liu and Tuzel 2016, arXiv:1606.07536, section 3)."""

from torch import Tensor, nn

from components.networks.layers import NormName, needs_bias, norm


class CoupledGenerator(nn.Module):
    """Two generators from one latent, whose first layers, where meaning is decided, are the same layers.

    A layer from the latent to the smallest map, then one stride-2 transposed 4x4 convolution a level; the last
    `untied` levels, where details are drawn, each generator has of its own. Widths halve from 2^(levels - 1), at
    most 8, times `width` down to `width`.

    Args:
        latent: values of the latent.
        channels: of the two domains.
        size: (H, W) of the pictures, multiples of 2**levels.
    """

    def __init__(
        self,
        latent: int,
        channels: tuple[int, int],
        size: tuple[int, int],
        levels: int = 4,
        untied: int = 2,
        width: int = 64,
        norm_name: NormName = "batch",
    ) -> None:
        super().__init__()
        widths = _widths(width, levels)[::-1]
        smallest = (size[0] >> levels, size[1] >> levels)
        bias = needs_bias(norm_name)
        first = nn.ConvTranspose2d(latent, widths[0], smallest, bias=bias)
        tied: list[nn.Module] = [first, norm(norm_name, widths[0]), nn.ReLU(inplace=True)]
        for level in range(levels - untied):
            tied += _up(widths[level], widths[level + 1], norm_name)
        self.tied = nn.Sequential(*tied)
        self.heads = nn.ModuleList()
        for outside in channels:
            head: list[nn.Module] = []
            for level in range(levels - untied, levels - 1):
                head += _up(widths[level], widths[level + 1], norm_name)
            self.heads.append(nn.Sequential(*head, nn.ConvTranspose2d(widths[-1], outside, 4, 2, 1)))

    def forward(self, latents: Tensor, domain: int) -> Tensor:
        """The pictures of one domain, (N, channels, H, W), of latents (N, latent); the caller applies tanh."""
        out: Tensor = self.heads[domain](self.tied(latents[:, :, None, None]))
        return out


class CoupledDiscriminator(nn.Module):
    """Two discriminators whose last layers are the same: a stride-2 4x4 convolution a level, and one to a logit.

    The first `untied` levels, which see details, each has of its own.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        size: tuple[int, int],
        levels: int = 4,
        untied: int = 2,
        width: int = 64,
        norm_name: NormName = "batch",
    ) -> None:
        super().__init__()
        widths = _widths(width, levels)
        self.stems = nn.ModuleList()
        for inside in channels:
            stem: list[nn.Module] = [nn.Conv2d(inside, widths[0], 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            for level in range(1, untied):
                stem += _down(widths[level - 1], widths[level], norm_name)
            self.stems.append(nn.Sequential(*stem))
        tied: list[nn.Module] = []
        for level in range(untied, levels):
            tied += _down(widths[level - 1], widths[level], norm_name)
        self.tied = nn.Sequential(*tied, nn.Conv2d(widths[-1], 1, (size[0] >> levels, size[1] >> levels)))

    def forward(self, pictures: Tensor, domain: int) -> Tensor:
        """Logits (N, 1, 1, 1) of pictures of one domain: positive means real."""
        out: Tensor = self.tied(self.stems[domain](pictures))
        return out


def _widths(width: int, levels: int) -> list[int]:
    return [width * min(2**level, 8) for level in range(levels)]


def _up(inside: int, outside: int, norm_name: NormName) -> list[nn.Module]:
    convolution = nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=needs_bias(norm_name))
    return [convolution, norm(norm_name, outside), nn.ReLU(inplace=True)]


def _down(inside: int, outside: int, norm_name: NormName) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, 4, 2, 1, bias=needs_bias(norm_name))
    return [convolution, norm(norm_name, outside), nn.LeakyReLU(0.2, inplace=True)]
