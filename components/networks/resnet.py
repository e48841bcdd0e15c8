"""ResNet generator of CycleGAN (Zhu et al. 2017, section 7.1; Johnson et al. 2016, arXiv:1603.08155)."""

from typing import Literal

from torch import Tensor, nn

from components.networks.layers import NormName, Residual, added_to, needs_bias, norm

UpsampleName = Literal["transposed", "nearest"]


class ResidualBlock(Residual):
    """Two reflect-padded 3x3 convolutions whose output is added to their input."""

    def __init__(self, width: int, norm_name: NormName) -> None:
        first, second = (_conv(width, width, 3, 1, norm_name) for _ in range(2))
        super().__init__(nn.Sequential(*first, nn.ReLU(inplace=True), *second))


class ResNet(nn.Module):
    """A 7x7 convolution, two stride-2 ones, residual blocks, two upsamplings and a 7x7 convolution.

    Widths width, 2 width, 4 width; 9 blocks and width 64 are the published network for 256 pixels, 6 for 128.
    Upsampling is by transposed 3x3 convolutions as published, or by nearest neighbours and a 3x3 convolution,
    which has no checkerboard. With `residual` the layers add to the source (`added_to`): for two domains that are
    mostly alike.
    (N, in_channels, H, W) to (N, out_channels, H, W), H and W multiples of 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: int = 9,
        width: int = 64,
        norm_name: NormName = "instance",
        upsample: UpsampleName = "transposed",
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        layers = [*_conv(in_channels, width, 7, 1, norm_name), nn.ReLU(inplace=True)]
        for wide in (width, 2 * width):
            down = nn.Conv2d(wide, 2 * wide, 3, 2, 1, bias=needs_bias(norm_name))
            layers += [down, norm(norm_name, 2 * wide), nn.ReLU(inplace=True)]
        layers += [ResidualBlock(4 * width, norm_name) for _ in range(blocks)]
        for wide in (4 * width, 2 * width):
            layers += [*_up(wide, wide // 2, norm_name, upsample), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.ReflectionPad2d(3))
        self.last = nn.Conv2d(width, out_channels, 7)

    def start_as_identity(self) -> None:
        """Start a residual network, and each of its blocks, at nothing beside its source; after any other
        initialisation."""
        if self.residual:
            for block in self.layers:
                if isinstance(block, ResidualBlock):
                    block.start_as_identity()
            nn.init.zeros_(self.last.weight)
            assert self.last.bias is not None
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, seeds: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Translate; the caller applies tanh or softmax. Nothing in it is random, so seeds have no use."""
        out: Tensor = self.last(self.layers(x))
        return added_to(x, out) if self.residual else out


def _conv(inside: int, outside: int, kernel: int, stride: int, norm_name: NormName) -> list[nn.Module]:
    convolution = nn.Conv2d(inside, outside, kernel, stride, bias=needs_bias(norm_name))
    return [nn.ReflectionPad2d(kernel // 2), convolution, norm(norm_name, outside)]


def _up(inside: int, outside: int, norm_name: NormName, upsample: UpsampleName) -> list[nn.Module]:
    if upsample == "transposed":
        bias = needs_bias(norm_name)
        return [nn.ConvTranspose2d(inside, outside, 3, 2, 1, 1, bias=bias), norm(norm_name, outside)]
    return [nn.Upsample(scale_factor=2.0, mode="nearest"), *_conv(inside, outside, 3, 1, norm_name)]
