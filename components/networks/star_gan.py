"""The generator and the discriminator of StarGAN (Choi et al. 2018, arXiv:1711.09020, tables 4 and 5)."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.layers import NormName, Residual, added_to, needs_bias, norm

_SLOPE = 0.01


class StarGenerator(nn.Module):
    """A 7x7 convolution, two stride-2 ones, residual blocks, two upsamplings and a 7x7 convolution.

    The condition joins the picture as one plane a class. Borders are padded with zeros: reflected, a plane would be the
    same everywhere, and the first instance norm would take it away. Norms are of each picture alone, and learn a gain
    and a shift.

    Args:
        channels: of pictures. classes: of the condition. width: channels beside the pictures. blocks: residual ones.
        norm_name: `instance` as published. It takes the mean colour out of each channel, which is most of what a flat
            drawing is.
        residual: add to the source, and start as the identity: for classes that are mostly alike.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 64,
        blocks: int = 6,
        norm_name: NormName = "instance",
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        wide = 4 * width
        bias = needs_bias(norm_name) and norm_name != "instance"
        self.layers = nn.Sequential(
            *_normed(nn.Conv2d(channels + classes, width, 7, 1, 3, bias=bias), norm_name),
            *_normed(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=bias), norm_name),
            *_normed(nn.Conv2d(2 * width, wide, 4, 2, 1, bias=bias), norm_name),
            *(_Block(wide, norm_name, bias) for _ in range(blocks)),
            *_normed(nn.ConvTranspose2d(wide, 2 * width, 4, 2, 1, bias=bias), norm_name),
            *_normed(nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=bias), norm_name),
            last := nn.Conv2d(width, channels, 7, 1, 3, bias=False),
        )
        if residual:
            nn.init.zeros_(last.weight)
            for block in self.layers:
                if isinstance(block, Residual):
                    block.start_as_identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, channels, H, W) and (N, classes) to (N, channels, H, W), before tanh; H and W are multiples of 4."""
        planes = condition.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        out: Tensor = self.layers(torch.cat([x, planes], dim=1))
        return added_to(x, out) if self.residual else out


class StarDiscriminator(nn.Module):
    """Stride-2 convolutions without any norm, and two heads: whether each patch is real, and the picture's class.

    Args:
        channels: of pictures. classes: of the condition. size: (height, width) of pictures, multiples of 2 ** levels.
        width: channels of the first convolution, doubled by each that follows. levels: how many there are.
    """

    def __init__(self, channels: int, classes: int, size: tuple[int, int], width: int = 64, levels: int = 6) -> None:
        super().__init__()
        widths = [channels, *(width * 2**level for level in range(levels))]
        self.trunk = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.patches = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        rest = size[0] // 2**levels, size[1] // 2**levels
        self.kind = nn.Conv2d(widths[-1], classes, rest, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, channels, H, W) to a value for each patch, (N, 1, h, w), and class logits, (N, classes)."""
        for layer in self.trunk:
            x = F.leaky_relu(layer(x), _SLOPE)
        return self.patches(x), self.kind(x).flatten(1)


class _Block(Residual):
    """Two 3x3 convolutions whose output is added to their input."""

    def __init__(self, width: int, norm_name: NormName, bias: bool) -> None:
        first, last = (nn.Conv2d(width, width, 3, 1, 1, bias=bias) for _ in range(2))
        super().__init__(nn.Sequential(*_normed(first, norm_name), *_normed(last, norm_name)[:-1]))


def _normed(convolution: nn.Conv2d | nn.ConvTranspose2d, name: NormName) -> list[nn.Module]:
    channels = convolution.out_channels
    learned = nn.InstanceNorm2d(channels, affine=True) if name == "instance" else norm(name, channels)
    return [convolution, learned, nn.ReLU()]
