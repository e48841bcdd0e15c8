"""PatchGAN: a discriminator that classifies every patch of a picture (Isola et al. 2017, section 3.2)."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.layers import NormName, needs_bias, norm

PatchSize = Literal[1, 16, 34, 70, 142, 286]
_STRIDED = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


class PatchGAN(nn.Module):
    """Convolutions whose every output has a receptive field of `patch_size` pixels.

    n stride-2 then two stride-1 convolutions of kernel 4 see 16, 34, 70, 142, 286 pixels (n = 1..5); the
    PixelGAN (1) is 1x1 convolutions. (N, channels, H, W) to logits (N, 1, h, w); at 256 pixels h is 126,
    62, 30, 14, 6, and 256 for the PixelGAN. A picture too small for the patch is padded with zeros.
    """

    def __init__(
        self,
        channels: int,
        patch_size: PatchSize = 70,
        width: int = 64,
        norm_name: NormName = "batch",
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        strided = _STRIDED.get(patch_size, 0)
        self.smallest = 3 * 2**strided if strided else 1

        def conv(inside: int, outside: int, kernel: int, stride: int, bias: bool) -> nn.Module:
            return nn.Conv2d(inside, outside, kernel, stride, padding=1 if kernel == 4 else 0, bias=bias)

        def block(inside: int, outside: int, kernel: int, stride: int) -> list[nn.Module]:
            bias = needs_bias(norm_name)
            layers = [conv(inside, outside, kernel, stride, bias), norm(norm_name, outside)]
            return [*layers, nn.LeakyReLU(0.2, inplace=True)]

        kernel = 4 if strided else 1
        layers = [conv(channels, width, kernel, 2 if strided else 1, True), nn.LeakyReLU(0.2, inplace=True)]
        wide = width
        for level in range(1, max(strided, 1)):
            layers += block(wide, wide := width * min(2**level, 8), kernel, 2)
        layers += block(wide, wide := width * min(2 ** max(strided, 1), 8), kernel, 1)
        layers += [conv(wide, 1, kernel, 1, bool(strided) or needs_bias(norm_name))]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of all patches: positive means real."""
        return self.features(x)[-1]

    def features(self, x: Tensor) -> list[Tensor]:
        """The output of each activation, then the logits."""
        tall, wide = (max(self.smallest - side, 0) for side in x.shape[-2:])
        if tall or wide:
            x = F.pad(x, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2))
        outputs = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                outputs.append(x)
        return [*outputs, x]
