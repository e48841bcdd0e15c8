"""A lean U-Net that draws texture from noise and edges from its labels: the default where minutes count."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.layers import NormName, needs_bias, norm
from components.networks.noise import noise_maps


class TextureUNet(nn.Module):
    """U-Net with a full-resolution stem, nearest upsampling, noise on every decoder level and a label shortcut.

    - Upsampling is nearest-neighbour and a 3x3 convolution, which has no checkerboard (Odena et al. 2016,
      doi:10.23915/distill.00003).
    - Each decoder level adds one map of unit noise with a learned strength a channel, as in StyleGAN
      (Karras et al. 2019, arXiv:1812.04948): flat label areas have something to draw texture from.
    - A linear 3x3 convolution leads from the input straight to the output, zero at the start and scaled by
      `shortcut`: within some hundred steps it paints each class its mean colour with sharp borders, and
      the U-Net learns what is missing rather than the edges. It is meant for one-hot sources; 0 leaves it out.

    Without `skips` it is an encoder-decoder of the same layers; give it no shortcut then, which is a skip too.
    (N, in_channels, H, W) and seeds (N,) to (N, out_channels, H, W) before the output activation; H and W
    are multiples of 2 ** (len(widths) - 1).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: tuple[int, ...] = (8, 24, 48, 64, 64),
        norm_name: NormName = "batch",
        noise: bool = True,
        shortcut: float = 10.0,
        skips: bool = True,
    ) -> None:
        super().__init__()
        self.skips = skips
        bias = needs_bias(norm_name)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, widths[0], 3, 1, 1), nn.LeakyReLU(0.2, inplace=True))
        self.down, self.up, self.up_norm = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for above, wide in itertools.pairwise(widths):
            down = nn.Conv2d(above, wide, 4, 2, 1, bias=bias)
            self.down.append(nn.Sequential(down, norm(norm_name, wide), nn.LeakyReLU(0.2, inplace=True)))
            self.up.append(nn.Conv2d(wide + above * skips, above, 3, 1, 1, bias=bias))
            self.up_norm.append(norm(norm_name, above))
        self.strengths = nn.ParameterList(nn.Parameter(torch.full((wide, 1, 1), 0.5)) for wide in widths[:-1])
        if not noise:
            self.strengths = nn.ParameterList()
        self.out = nn.Conv2d(widths[0], out_channels, 3, 1, 1)
        self.scale = shortcut
        self.shortcut = (
            nn.Conv2d(in_channels, out_channels, 3, 1, 1, bias=False, padding_mode="replicate") if shortcut else None
        )

    def zero_shortcut(self) -> None:
        """Start the shortcut at nothing; after any other initialisation."""
        if self.shortcut is not None:
            nn.init.zeros_(self.shortcut.weight)

    def forward(self, x: Tensor, seeds: Tensor) -> Tensor:
        """Translate; the noise of a sample is decided by its seed, and the caller applies tanh or softmax."""
        h, skips = self.stem(x), []
        for down in self.down:
            skips.append(h)
            h = down(h)
        sides = [tuple(skip.shape[-2:]) for skip in skips]
        maps = noise_maps(seeds, sides, x.device) if len(self.strengths) else None
        for level in reversed(range(len(self.up))):
            h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            if self.skips:
                h = torch.cat([h, skips[level]], dim=1)
            h = self.up_norm[level](self.up[level](h))
            if maps is not None:
                h = h + self.strengths[level] * maps[level].to(h.dtype)
            h = F.relu(h, inplace=True)
        out: Tensor = self.out(h)
        return out if self.shortcut is None else out + self.scale * self.shortcut(x)
