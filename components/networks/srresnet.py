"""SRResNet and SRGAN's discriminator (Ledig et al. 2017, arXiv:1609.04802, figure 4)."""

import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.layers import RESIDUAL_SCALE, NormName, Residual, norm


class _Block(Residual):
    """Two 3x3 convolutions whose output is added to their input."""

    def __init__(self, width: int, norm_name: NormName) -> None:
        super().__init__(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                norm(norm_name, width),
                nn.PReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                norm(norm_name, width),
            )
        )


class SRResNet(nn.Module):
    """A 9x9 convolution, residual blocks, a skip over all of them, one sub-pixel shuffle for each doubling, and a 9x9
    convolution.

    Sixteen blocks of width 64 are the published network, which has 1,549,462 parameters at scale 4; convolutions have
    biases before a norm too, and each PReLU has one slope. With `residual` the layers add to the source as bicubic
    interpolation enlarges it, and an untrained network gives that; what they add is scaled down.
    (N, in_channels, H, W) to (N, out_channels, scale H, scale W), of any height and width.

    Args:
        scale: a power of two; 1 keeps the size.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int,
        width: int = 64,
        blocks: int = 16,
        norm_name: NormName = "batch",
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.scale, self.residual, self.normed = scale, residual, norm_name != "none"
        self.first = nn.Sequential(nn.Conv2d(in_channels, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(
            *(_Block(width, norm_name) for _ in range(blocks)),
            nn.Conv2d(width, width, 3, padding=1),
            norm(norm_name, width),
        )
        up: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            up += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.up = nn.Sequential(*up)
        self.last = nn.Conv2d(width, out_channels, 9, padding=4)

    def start_small(self) -> None:
        """Begin at the enlarged source where the network is residual, and without a norm, where each block would double
        the variance, with blocks that change nothing (Zhang et al. 2019, arXiv:1901.09321); after any other
        initialisation."""
        for block in self.blocks:
            if isinstance(block, _Block) and not self.normed:
                block.start_as_identity()
        if self.residual:
            nn.init.zeros_(self.last.weight)
            assert self.last.bias is not None
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge; nothing bounds the output."""
        first = self.first(x)
        out: Tensor = self.last(self.up(first + self.blocks(first)))
        return RESIDUAL_SCALE * out + enlarged(x, self.scale) if self.residual else out


def enlarged(x: Tensor, scale: int) -> Tensor:
    """(N, C, H, W) to (N, C, scale H, scale W) by bicubic interpolation, which may go beyond the range of x."""
    return x if scale == 1 else F.interpolate(x, scale_factor=float(scale), mode="bicubic", align_corners=False)


class SRDiscriminator(nn.Module):
    """Eight 3x3 convolutions, every other one of stride 2, and two layers that see the whole picture.

    Widths `width` to 8 `width`. With width 64 and 1,024 units it has 23,565,505 parameters for 96x96 pixels.
    (N, channels, *size) to logits (N, 1).

    Args:
        size: height and width. units: of the first of the last two layers.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        width: int = 64,
        units: int = 1024,
        norm_name: NormName = "batch",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
        height, across = size
        inside = width
        for level in range(4):
            wide = width * 2**level
            for outside, stride in ((wide, 1), (wide, 2)) if level else ((wide, 2),):
                convolution = nn.Conv2d(inside, outside, 3, stride, padding=1)
                layers += [convolution, norm(norm_name, outside), nn.LeakyReLU(0.2)]
                inside = outside
            height, across = (height + 1) // 2, (across + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.judged = nn.Sequential(nn.Linear(inside * height * across, units), nn.LeakyReLU(0.2), nn.Linear(units, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Judge."""
        out: Tensor = self.judged(self.layers(x).flatten(1))
        return out
