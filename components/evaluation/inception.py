"""The Inception network of 2015-12-05, which published FID and Inception Scores are taken with.

Szegedy et al. 2016 (arXiv:1512.00567) as TensorFlow released it: average pools that do not count their
padding, a max pool in the last block, 1008 logits. Another network than torchvision's Inception v3.
Parameters have the names of the state dict that pytorch-fid and torch-fidelity distribute.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 299
FEATURES, LOGITS = 2048, 1008


class Conv(NamedTuple):
    """A convolution by its channels out, its kernel (height, width) and its stride; same-padded at stride 1."""

    channels: int
    kernel: tuple[int, int]
    stride: int = 1


class ConvNorm(nn.Module):
    """Convolution without bias, batch normalisation (ε 0.001), ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, pad: bool) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if pad else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


_POOLS = {
    "average": lambda x: F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False),
    "max": lambda x: F.max_pool2d(x, 3, stride=1, padding=1),
    "halve": lambda x: F.max_pool2d(x, 3, stride=2),
}
Path = tuple[str, ...]


class Mixed(nn.Module):
    """Parallel paths over one input, concatenated in order; paths that begin alike share the beginning.

    Args:
        inputs: channels in. convs: by name. paths: names of convs and pools from the input on.
    """

    def __init__(self, inputs: int, convs: dict[str, Conv], paths: tuple[Path, ...]) -> None:
        super().__init__()
        self.paths = paths
        channels: dict[Path, int] = {(): inputs}
        for path in paths:
            for end in range(1, len(path) + 1):
                before, name = path[: end - 1], path[end - 1]
                if path[:end] in channels:
                    continue
                if name in _POOLS:
                    channels[path[:end]] = channels[before]
                    continue
                conv = convs[name]
                self.add_module(
                    name, ConvNorm(channels[before], conv.channels, conv.kernel, conv.stride, conv.stride == 1)
                )
                channels[path[:end]] = conv.channels
        self.channels = sum(channels[path] for path in paths)

    def forward(self, x: Tensor) -> Tensor:
        done: dict[Path, Tensor] = {(): x}
        for path in self.paths:
            for end in range(1, len(path) + 1):
                if path[:end] not in done:
                    step = _POOLS.get(path[end - 1]) or self.get_submodule(path[end - 1])
                    done[path[:end]] = step(done[path[: end - 1]])
        return torch.cat([done[path] for path in self.paths], dim=1)


def _chain(prefix: str, *convs: Conv) -> dict[str, Conv]:
    return {f"{prefix}_{i}": conv for i, conv in enumerate(convs, start=1)}


def _block_35(inputs: int, pool: int) -> Mixed:
    """35 x 35: kernels 1, 5 and twice 3, and an average pool."""
    fives = _chain("branch5x5", Conv(48, (1, 1)), Conv(64, (5, 5)))
    threes = _chain("branch3x3dbl", Conv(64, (1, 1)), Conv(96, (3, 3)), Conv(96, (3, 3)))
    ones = {"branch1x1": Conv(64, (1, 1)), "branch_pool": Conv(pool, (1, 1))}
    paths = (("branch1x1",), tuple(fives), tuple(threes), ("average", "branch_pool"))
    return Mixed(inputs, ones | fives | threes, paths)


def _halve_35(inputs: int) -> Mixed:
    """35 x 35 to 17 x 17."""
    threes = _chain("branch3x3dbl", Conv(64, (1, 1)), Conv(96, (3, 3)), Conv(96, (3, 3), 2))
    convs = {"branch3x3": Conv(384, (3, 3), 2)} | threes
    return Mixed(inputs, convs, (("branch3x3",), tuple(threes), ("halve",)))


def _block_17(inputs: int, width: int) -> Mixed:
    """17 x 17: kernels of 7 in rows and columns."""
    row, column = (1, 7), (7, 1)
    seven = _chain("branch7x7", Conv(width, (1, 1)), Conv(width, row), Conv(192, column))
    twice = _chain(
        "branch7x7dbl",
        Conv(width, (1, 1)),
        *(Conv(width, kernel) for kernel in (column, row, column)),
        Conv(192, row),
    )
    ones = {"branch1x1": Conv(192, (1, 1)), "branch_pool": Conv(192, (1, 1))}
    paths = (("branch1x1",), tuple(seven), tuple(twice), ("average", "branch_pool"))
    return Mixed(inputs, ones | seven | twice, paths)


def _halve_17(inputs: int) -> Mixed:
    """17 x 17 to 8 x 8."""
    threes = _chain("branch3x3", Conv(192, (1, 1)), Conv(320, (3, 3), 2))
    sevens = _chain("branch7x7x3", Conv(192, (1, 1)), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, (3, 3), 2))
    return Mixed(inputs, threes | sevens, (tuple(threes), tuple(sevens), ("halve",)))


def _block_8(inputs: int, pool: str) -> Mixed:
    """8 x 8: the threes end in a row beside a column."""
    row, column = Conv(384, (1, 3)), Conv(384, (3, 1))
    convs = {
        "branch1x1": Conv(320, (1, 1)),
        "branch3x3_1": Conv(384, (1, 1)),
        "branch3x3_2a": row,
        "branch3x3_2b": column,
        "branch3x3dbl_1": Conv(448, (1, 1)),
        "branch3x3dbl_2": Conv(384, (3, 3)),
        "branch3x3dbl_3a": row,
        "branch3x3dbl_3b": column,
        "branch_pool": Conv(192, (1, 1)),
    }
    twice = ("branch3x3dbl_1", "branch3x3dbl_2")
    paths = (
        ("branch1x1",),
        ("branch3x3_1", "branch3x3_2a"),
        ("branch3x3_1", "branch3x3_2b"),
        (*twice, "branch3x3dbl_3a"),
        (*twice, "branch3x3dbl_3b"),
        (pool, "branch_pool"),
    )
    return Mixed(inputs, convs, paths)


class Inception(nn.Module):
    """uint8 pictures (N, 3, H, W), any size -> pool3 features (N, 2048) and logits without bias (N, 1008)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNorm(3, 32, (3, 3), 2, pad=False)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, (3, 3), 1, pad=False)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, (3, 3), 1, pad=True)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, (1, 1), 1, pad=False)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, (3, 3), 1, pad=False)
        self.Mixed_5b = _block_35(192, 32)
        self.Mixed_5c = _block_35(256, 64)
        self.Mixed_5d = _block_35(288, 64)
        self.Mixed_6a = _halve_35(288)
        self.Mixed_6b = _block_17(768, 128)
        self.Mixed_6c = _block_17(768, 160)
        self.Mixed_6d = _block_17(768, 160)
        self.Mixed_6e = _block_17(768, 192)
        self.Mixed_7a = _halve_17(768)
        self.Mixed_7b = _block_8(1280, "average")
        self.Mixed_7c = _block_8(2048, "max")
        self.fc = nn.Linear(FEATURES, LOGITS)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x = (resize_tf1(pictures.float(), SIZE) - 128) / 128
        for name, module in self.named_children():
            if name == "fc":
                break
            x = module(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = F.max_pool2d(x, 3, stride=2)
        features = x.mean((2, 3))
        return features, features @ self.fc.weight.T


def resize_tf1(x: Tensor, size: int) -> Tensor:
    """Bilinear resize of (N, C, H, W) as TensorFlow 1 did it: no antialias, pixel i at i * old / new.

    The corner pixels are not aligned and half pixels not shifted (align_corners False, half_pixel_centers
    False), so the result leans to the upper left; that is part of the protocol.
    """
    low_y, high_y, part_y = _taps(x.shape[2], size, x)
    low_x, high_x, part_x = _taps(x.shape[3], size, x)
    rows = torch.lerp(x[:, :, low_y], x[:, :, high_y], part_y[:, None])
    return torch.lerp(rows[..., low_x], rows[..., high_x], part_x)


def _taps(old: int, new: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    place = torch.arange(new, dtype=like.dtype, device=like.device) * (old / new)
    low = place.long()
    return low, (low + 1).clamp_max(old - 1), place - low
