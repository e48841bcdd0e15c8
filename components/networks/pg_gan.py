"""The networks of PG-GAN (Karras et al. 2018, arXiv:1710.10196, appendix A), with all levels from the start."""

from itertools import pairwise

from torch import Tensor, nn

from components.networks.equalised import (
    GAIN,
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchDeviation,
    activated,
    pixel_norm,
)
from components.networks.growing import SMALLEST, Growing, blended, blur, doubled, halved, width_at


class PGGANGenerator(Growing):
    """Latents (N, latent) to pictures, without an output activation.

    Args:
        width: channels of up to 32 pixels, halved at each doubling above.
        levels: doublings from 4 pixels to the pictures' side.
    """

    def __init__(self, latent: int, channels: int, levels: int, width: int) -> None:
        super().__init__(levels)
        widths = [width_at(level, width) for level in range(levels + 1)]
        # The linear layer to 4x4: each place of the padded latent sees one place of the kernel.
        self.start = EqualisedConv2d(latent, widths[0], SMALLEST, padding=SMALLEST - 1)
        self.first = EqualisedConv2d(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(_Doubling(below, own) for below, own in pairwise(widths))
        self.to_pictures = nn.ModuleList(EqualisedConv2d(own, channels, 1, gain=1) for own in widths)

    def at(self, latent: Tensor, level: int, alpha: Tensor | float | None) -> Tensor:
        """The pictures of a level, (N, channels, S, S) of S = 4 * 2^level, faded in over the level below by alpha."""
        x = pixel_norm(activated(self.start(pixel_norm(latent)[:, :, None, None])))
        below, x = x, pixel_norm(activated(self.first(x)))
        for block in list(self.blocks)[:level]:
            below, x = x, block(x)
        made: Tensor = self.to_pictures[level](x)
        return made if alpha is None else blended(doubled(self.to_pictures[level - 1](below)), made, alpha)

    def forward(self, latent: Tensor) -> Tensor:
        """Pictures of the whole size, as far as it has grown."""
        return self.whole(self.at(latent, self.level, self.share))


class _Doubling(nn.Module):
    """(N, below, H, W) to (N, own, 2H, 2W)."""

    def __init__(self, below: int, own: int) -> None:
        super().__init__()
        self.first, self.second = EqualisedConv2d(below, own, 3), EqualisedConv2d(own, own, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = pixel_norm(activated(self.first(doubled(x))))
        return pixel_norm(activated(self.second(x)))


class _Halving(nn.Module):
    """(N, own, H, W) to (N, below, H/2, W/2)."""

    def __init__(self, below: int, own: int, blurred: bool) -> None:
        super().__init__()
        self._blurred = blurred
        self.first, self.second = EqualisedConv2d(own, own, 3), EqualisedConv2d(own, below, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = activated(self.first(x))
        return halved(activated(self.second(blur(x) if self._blurred else x)))


class PGGANDiscriminator(nn.Module):
    """Pictures of a level to one value each, (N, 1).

    Args:
        group: pictures over which the deviation is taken; None: the whole batch.
        blurred: whether each level blurs before it halves, as StyleGAN's does.
    """

    def __init__(self, channels: int, levels: int, width: int, group: int | None, blurred: bool = False) -> None:
        super().__init__()
        widths = [width_at(level, width) for level in range(levels + 1)]
        self.from_pictures = nn.ModuleList(EqualisedConv2d(channels, own, 1) for own in widths)
        self.blocks = nn.ModuleList(_Halving(below, own, blurred) for below, own in pairwise(widths))
        self.deviation = MinibatchDeviation(group)
        self.last = EqualisedConv2d(widths[0] + 1, widths[0], 3)
        self.linear = EqualisedLinear(widths[0] * SMALLEST**2, widths[0], GAIN)
        self.end = EqualisedLinear(widths[0], 1, gain=1)

    def forward(self, pictures: Tensor, level: int, alpha: Tensor | float | None) -> Tensor:
        """Values of pictures (N, channels, S, S) of S = 4 * 2^level."""
        x = activated(self.from_pictures[level](pictures))
        for own in range(level, 0, -1):
            x = self.blocks[own - 1](x)
            if own == level and alpha is not None:
                x = blended(activated(self.from_pictures[level - 1](halved(pictures))), x, alpha)
        x = activated(self.last(self.deviation(x)))
        values: Tensor = self.end(activated(self.linear(x.flatten(1))))
        return values
