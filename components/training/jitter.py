"""The jitter of training pictures."""

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor

from components.domain import Domain
from components.networks.noise import uniforms
from components.schema import Section

_STREAM = 2**20  # of a sample's seed: nothing else that is random about it is drawn there


class AugmentConfig(Section):
    """Jitter of the training pictures, the same for both of a pair (Isola et al. 2017, section 6.2).

    `resize` enlarges so that the shorter side has that many pixels, and crops the sample's own size at random;
    flips are by a fair coin each. A map has no up or down, so the Earth flips both ways; a facade only horizontally.
    """

    resize: PositiveInt | None = None
    horizontal_flip: bool = True
    vertical_flip: bool = False


def jitter(pictures: Tensor, domain: Domain, config: AugmentConfig, seeds: Tensor) -> Tensor:
    """Jitter a batch on the device that it lies on, as uint8 as it came; pictures of equal seeds get equal jitter.

    What is done is the same on every device. Enlarged photos are bicubic as Pillow does them, rounded after each
    direction, and a pixel may differ between devices by 2 of its 255 values; all else is exact.

    Args:
        pictures: (N, H, W, 3) or (N, H, W); categories, (N,), stay as they are.
        seeds: (N,) int64; each decides the crop and the flips of its picture.
    """
    if domain.kind == "category":
        return pictures
    size = tuple(pictures.shape[1:3])
    large = pictures if config.resize is None else _enlarged(pictures, domain, config.resize)
    flips = config.vertical_flip, config.horizontal_flip
    room = [there - here for there, here in zip(large.shape[1:3], size, strict=True)]
    if not any(flips) and not any(room):
        return large
    chances = uniforms(seeds, (4,), pictures.device, _STREAM)
    starts = [(chances[:, axis] * (spare + 1)).long() for axis, spare in enumerate(room)]
    turned = [chances[:, 2 + axis] < 0.5 * wanted for axis, wanted in enumerate(flips)]
    cut = cut_by_slices if large.device.type == "cpu" else cut_by_places
    return cut(large, size, starts, turned)


def _enlarged(pictures: Tensor, domain: Domain, side: int) -> Tensor:
    """With a shorter side of so many pixels, unless it is longer: photos bicubic, label maps by their nearest pixel."""
    height, width = pictures.shape[1:3]
    scale = max(side / min(height, width), 1)
    size = round(height * scale), round(width * scale)
    if domain.kind == "label":
        for dim, (here, there) in enumerate(zip((height, width), size, strict=True), start=1):
            nearest = ((2 * torch.arange(there, device=pictures.device) + 1) * here) // (2 * there)
            pictures = pictures.index_select(dim, nearest)
        return pictures
    bicubic = bicubic_in_bytes if pictures.device.type == "cpu" else bicubic_in_floats
    return bicubic(pictures.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)


def bicubic_in_bytes(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, 3, H, W) uint8 at another size; several times as fast as in floats, and there on CPUs alone."""
    return F.interpolate(planes, size=size, mode="bicubic", antialias=True)


def bicubic_in_floats(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """The same to 2 of 255 values: one direction after the other, rounded after each, as Pillow does it."""
    values = planes.float()
    for each in ((planes.shape[2], size[1]), size):
        values = F.interpolate(values, size=each, mode="bicubic", antialias=True).round_().clamp_(0, 255)
    return values.to(torch.uint8)


def cut_by_slices(large: Tensor, size: tuple[int, ...], starts: list[Tensor], turned: list[Tensor]) -> Tensor:
    """Of each picture the part that begins at its row and its column, turned round along the axes that say so.

    Args:
        large: (N, tall, wide, ...). starts, turned: rows and columns, (N,) each.
    """
    out = large.new_empty((len(large), *size, *large.shape[3:]))
    for i, (top, left, down, across) in enumerate(torch.stack([*starts, *turned], dim=1).tolist()):
        part = large[i, top : top + size[0], left : left + size[1]]
        dims = [dim for dim, turn in enumerate((down, across)) if turn]
        out[i] = part.flip(dims) if dims else part
    return out


def cut_by_places(large: Tensor, size: tuple[int, ...], starts: list[Tensor], turned: list[Tensor]) -> Tensor:
    """The same pixels in one gather, which looks at nothing from the host."""
    places = []
    for side, start, turn in zip(size, starts, turned, strict=True):
        steps = torch.arange(side, device=large.device)
        places.append(start[:, None] + torch.where(turn[:, None], side - 1 - steps, steps))
    rows, columns = places
    return large[torch.arange(len(large), device=large.device)[:, None, None], rows[:, :, None], columns[:, None]]
