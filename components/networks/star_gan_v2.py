"""The four networks of StarGAN v2 (Choi et al. 2020, arXiv:1912.01865, appendix F), without its heat-maps of faces."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SLOPE = 0.2
_HIDDEN = 512


class StyledGenerator(nn.Module):
    """Pre-activation blocks that halve the sides with instance norms, and others that double them in a style.

    Args:
        channels: of pictures. style: values of a style. widths: channels at the full size and after each halving.
    """

    def __init__(self, channels: int, style: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        deepest = widths[-1]
        self.start = nn.Conv2d(channels, widths[0], 3, 1, 1)
        self.encode = nn.ModuleList(
            [*(Block(a, b, normed=True) for a, b in pairwise(widths)), *(_level(deepest) for _ in range(2))]
        )
        self.decode = nn.ModuleList(
            [
                *(StyledBlock(deepest, deepest, style, up=False) for _ in range(2)),
                *(StyledBlock(b, a, style) for a, b in reversed(list(pairwise(widths)))),
            ]
        )
        self.end = nn.Sequential(
            nn.InstanceNorm2d(widths[0], affine=True), nn.LeakyReLU(_SLOPE), nn.Conv2d(widths[0], channels, 1)
        )

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, channels, H, W) and (N, style) to (N, channels, H, W), which no activation bounds."""
        x = self.start(x)
        for block in self.encode:
            x = block(x)
        for block in self.decode:
            x = block(x, style)
        out: Tensor = self.end(x)
        return out


class Mapping(nn.Module):
    """A latent to a style: layers that all classes share, and four of each class's own.

    Args:
        latent, style: values of each. classes: how many heads. width: of the layers.
    """

    def __init__(self, latent: int, style: int, classes: int, width: int = _HIDDEN) -> None:
        super().__init__()
        self.shared = nn.Sequential(*_dense([latent, *([width] * 4)]))
        self.heads = nn.ModuleList(nn.Sequential(*_dense([width] * 4), nn.Linear(width, style)) for _ in range(classes))

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """(N, latent) and one-hot (N, classes) to (N, style)."""
        shared = self.shared(latent)
        return chosen(torch.stack([head(shared) for head in self.heads], dim=1), condition)


class Trunk(nn.Module):
    """Blocks that halve the sides down to 4 to 7 pixels and one convolution over the rest, with a head for each class.

    As the style encoder a head is a layer that gives a style; as the discriminator it is one value.

    Args:
        channels: of pictures. outputs: of a head. classes: how many. size: (height, width) of pictures.
        widths: channels at the full size and after each halving.
    """

    def __init__(
        self, channels: int, outputs: int, classes: int, size: tuple[int, int], widths: tuple[int, ...]
    ) -> None:
        super().__init__()
        halved = 2 ** (len(widths) - 1)
        self.outputs, self.classes = outputs, classes
        self.layers = nn.Sequential(
            nn.Conv2d(channels, widths[0], 3, 1, 1),
            *(Block(a, b) for a, b in pairwise(widths)),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(widths[-1], widths[-1], (size[0] // halved, size[1] // halved)),
            nn.LeakyReLU(_SLOPE),
            nn.Flatten(),
        )
        self.heads = nn.Linear(widths[-1], classes * outputs)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, channels, H, W) and one-hot (N, classes) to (N, outputs), of the head of each picture's class."""
        return chosen(self.heads(self.layers(x)).unflatten(1, (self.classes, self.outputs)), condition)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, in all of the variance of one; the sides are halved.

    Args:
        normed: with an instance norm before each activation. down: whether the sides are halved.
    """

    def __init__(self, inside: int, outside: int, normed: bool = False, down: bool = True) -> None:
        super().__init__()
        self._down = down
        self.norms = nn.ModuleList(
            nn.InstanceNorm2d(inside, affine=True) if normed else nn.Identity() for _ in range(2)
        )
        self.convolutions = nn.ModuleList([nn.Conv2d(inside, inside, 3, 1, 1), nn.Conv2d(inside, outside, 3, 1, 1)])
        self.shortcut = _shortcut(inside, outside)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inside, H, W) to (N, outside, H / 2, W / 2)."""
        beside = self._halved(self.shortcut(x))
        inner = self._halved(self.convolutions[0](F.leaky_relu(self.norms[0](x), _SLOPE)))
        inner = self.convolutions[1](F.leaky_relu(self.norms[1](inner), _SLOPE))
        return (beside + inner) / math.sqrt(2)

    def _halved(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2) if self._down else x


class StyledBlock(nn.Module):
    """The same with norms whose gain and shift the style gives; the sides are doubled."""

    def __init__(self, inside: int, outside: int, style: int, up: bool = True) -> None:
        super().__init__()
        self._up = up
        self.norms = nn.ModuleList([AdaptiveNorm(inside, style), AdaptiveNorm(outside, style)])
        self.convolutions = nn.ModuleList([nn.Conv2d(inside, outside, 3, 1, 1), nn.Conv2d(outside, outside, 3, 1, 1)])
        self.shortcut = _shortcut(inside, outside)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, inside, H, W) and (N, style) to (N, outside, 2 H, 2 W)."""
        beside = self.shortcut(self._doubled(x))
        inner = self.convolutions[0](self._doubled(F.leaky_relu(self.norms[0](x, style), _SLOPE)))
        inner = self.convolutions[1](F.leaky_relu(self.norms[1](inner, style), _SLOPE))
        return (beside + inner) / math.sqrt(2)

    def _doubled(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self._up else x


class AdaptiveNorm(nn.Module):
    """An instance norm whose gain, as its difference from 1, and shift are linear in a style."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels)
        self.affine = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, channels, H, W) and (N, style) to the same as x."""
        gain, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        out: Tensor = (1 + gain) * self.norm(x) + shift
        return out


def chosen(of_each: Tensor, condition: Tensor) -> Tensor:
    """What the head of each sample's class says, (N, outputs) of (N, classes, outputs), by one-hot (N, classes)."""
    return (of_each * condition.to(of_each.dtype)[:, :, None]).sum(dim=1)


def _level(width: int) -> Block:
    return Block(width, width, normed=True, down=False)


def _shortcut(inside: int, outside: int) -> nn.Module:
    return nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1, bias=False)


def _dense(widths: list[int]) -> list[nn.Module]:
    return [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
