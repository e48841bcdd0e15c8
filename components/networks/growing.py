"""Networks that grow: they begin with the smallest pictures, and each level that doubles the sides is faded in."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST = 4  # pixels of a side


def level_of(side: int) -> int:
    """How many doublings lead from 4 pixels to a side, a power of two."""
    return int(math.log2(side // SMALLEST))


def width_at(level: int, width: int) -> int:
    """Channels of a level: `width` up to 32 pixels, halved at each doubling above."""
    return max(1, width // 2 ** max(0, level - 3))


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2H, 2W), each pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halved(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, H/2, W/2), the means of four pixels."""
    return F.avg_pool2d(x, 2)


def blur(x: Tensor) -> Tensor:
    """The filter 1, 2, 1 over 4 in each direction, of the same size; beyond the edge are zeros."""
    return F.avg_pool2d(F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 2, 1), 2, 1)  # 1, 2, 1 is 1, 1 twice


def blended(old: Tensor, new: Tensor, alpha: Tensor | float | None) -> Tensor:
    """Exactly `old` at an alpha of 0 and exactly `new` at 1 or None, and evenly between."""
    if alpha is None:
        return new
    return torch.lerp(old, new, alpha.to(new.dtype) if isinstance(alpha, Tensor) else alpha)


def shown_at(pictures: Tensor, level: int, alpha: Tensor | None) -> Tensor:
    """Real pictures (N, C, S, S) as a level sees them, (N, C, s, s): smaller, and faded as what is made is."""
    small = F.avg_pool2d(pictures, pictures.shape[-1] // (SMALLEST * 2**level))
    return small if alpha is None else blended(doubled(halved(small)), small, alpha)


class Growing(nn.Module):
    """A network that knows how far it has grown, which is saved with it, so that it is used as it was trained.

    Args:
        levels: doublings from 4 pixels to the whole size.

    Attributes:
        grown: a scalar buffer: the level, less what the level has still to be faded in; 2.25 is level 3 at an alpha of
            0.25, and 3 is level 3 alone.
        level: of `grown`. share: its alpha, None where the level is alone.
    """

    grown: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("grown", torch.tensor(float(levels)))
        self._settle(levels)
        self.register_load_state_dict_post_hook(_read)

    def grow(self, grown: float) -> None:
        """Set how far it has grown."""
        self.grown.fill_(grown)
        self._settle(grown)

    def alpha(self) -> Tensor:
        """The alpha of a level that is faded in, a tensor that changes with `grown`."""
        return self.grown - (self.level - 1)

    def _settle(self, grown: float) -> None:
        self.level = math.ceil(grown)
        self.share: float | None = None if grown == self.level else grown - (self.level - 1)

    def whole(self, pictures: Tensor) -> Tensor:
        """Pictures of any level at the whole size, each pixel as often as it takes."""
        times = SMALLEST * 2**self.levels // pictures.shape[-1]
        return pictures if times == 1 else F.interpolate(pictures, scale_factor=float(times), mode="nearest")


def _read(module: nn.Module, _: Any) -> None:
    assert isinstance(module, Growing)
    module._settle(float(module.grown))
