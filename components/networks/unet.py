"""Generators of pix2pix: U-Net and encoder-decoder (Isola et al. 2017, section 6.1; Ronneberger et al. 2015)."""

import torch
from torch import Tensor, nn

from components.networks.layers import NormName, needs_bias, norm


class UNet(nn.Module):
    """Encoder to a bottleneck and decoder with skips, one stride-2 4x4 convolution a level.

    Widths width x 1, 2, 4, 8, 8, ...; the first and the innermost level are not normalised; LeakyReLU
    0.2 down, ReLU up; dropout after the decoder levels that stay at full width (three of the U-Net-256).
    Without `skips` it is the paper's encoder-decoder: the same layers, all through the bottleneck.
    (N, in_channels, H, W) to (N, out_channels, H, W) before the output activation; H and W are
    multiples of 2**levels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        levels: int = 8,
        width: int = 64,
        norm_name: NormName = "batch",
        dropout: float = 0.5,
        skips: bool = True,
    ) -> None:
        super().__init__()
        self.skips = skips
        widths = [width * min(2**level, 8) for level in range(levels)]
        bias = needs_bias(norm_name)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, wide in enumerate(widths):
            inside = widths[level - 1] if level else in_channels
            outermost, innermost = level == 0, level == levels - 1
            down: list[nn.Module] = [] if outermost else [nn.LeakyReLU(0.2)]
            down.append(nn.Conv2d(inside, wide, 4, 2, 1, bias=bias))
            if not (outermost or innermost):
                down.append(norm(norm_name, wide))
            self.down.append(nn.Sequential(*down))
            up: list[nn.Module] = [nn.ReLU()]
            above = out_channels if outermost else inside
            below = 2 * wide if skips and not innermost else wide
            up.append(nn.ConvTranspose2d(below, above, 4, 2, 1, bias=bias or outermost))
            if not outermost:
                up.append(norm(norm_name, above))
            if dropout and not innermost and inside == wide == 8 * width:
                up.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*up))

    def forward(self, x: Tensor, seeds: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Translate; the caller applies tanh or softmax. Its only noise is dropout, so it has no use for seeds."""
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = skips.pop()
        for level in range(len(self.up) - 1, -1, -1):
            x = self.up[level](x)
            if level and self.skips:
                x = torch.cat([skips.pop(), x], dim=1)
        return x
