"""The jitter of training pictures."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor

from components.networks.noise import uniforms
from components.networks.tensors import full_float32
from components.samples.domain import Domain
from components.samples.schema import Section

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
        pictures: (N, H, W, 3) or (N, H, W); categories, (N,), and attributes, (N, classes), stay as they
            are.
        seeds: (N,) int64; each decides the crop and the flips of its picture.
    """
    if domain.askable:
        return pictures
    size = (pictures.shape[1], pictures.shape[2])
    scale = 1.0 if config.resize is None else max(config.resize / min(size), 1)
    large = round(size[0] * scale), round(size[1] * scale)
    flips = config.vertical_flip, config.horizontal_flip
    if large == size and not any(flips):
        return pictures
    chances = uniforms(seeds, (4,), pictures.device, _STREAM)
    cut = Cut(
        size,
        large,
        starts=[(chances[:, axis] * (large[axis] - size[axis] + 1)).long() for axis in (0, 1)],
        turned=[chances[:, 2 + axis] < 0.5 * flips[axis] for axis in (0, 1)],
    )
    bicubic = domain.kind == "image" and large != size
    if pictures.device.type != "cpu":
        return cut.by_products(pictures) if bicubic else cut.by_places(pictures)
    if bicubic:
        return cut.by_slices(_resized_in_bytes(pictures, large))
    return cut.by_slices(pictures) if large == size else cut.by_places(pictures)


@dataclass(frozen=True)
class Cut:
    """Of each picture, enlarged, the part of its own size that begins at its row and its column, turned round along the
    axes that say so.

    Attributes:
        size: (H, W) of the pictures. large: (tall, wide) of them enlarged.
        starts: first rows and first columns, (N,) each. turned: whether rows and columns run backwards, (N,) each.
    """

    size: tuple[int, int]
    large: tuple[int, int]
    starts: list[Tensor]
    turned: list[Tensor]

    def by_slices(self, pictures: Tensor) -> Tensor:
        """Of pictures that are enlarged already, (N, tall, wide, ...); looks at the numbers from the host."""
        out = pictures.new_empty((len(pictures), *self.size, *pictures.shape[3:]))
        for i, (top, left, down, across) in enumerate(torch.stack([*self.starts, *self.turned], dim=1).tolist()):
            part = pictures[i, top : top + self.size[0], left : left + self.size[1]]
            dims = [dim for dim, turn in enumerate((down, across)) if turn]
            out[i] = part.flip(dims) if dims else part
        return out

    def by_places(self, pictures: Tensor) -> Tensor:
        """Of pictures at their own size, (N, H, W, ...), each pixel the nearest; one gather."""
        rows, columns = (
            (2 * place + 1) * here // (2 * there)
            for place, here, there in zip(self._places(), self.size, self.large, strict=True)
        )
        every = torch.arange(len(pictures), device=pictures.device)
        return pictures[every[:, None, None], rows[:, :, None], columns[:, None]]

    def by_products(self, pictures: Tensor) -> Tensor:
        """Of photos at their own size, (N, H, W, 3) uint8, bicubic as Pillow does it to 2 of 255 values: a product with
        the weights of each direction, rounded after each. Only the pixels of the part are made."""
        places = zip(self._places(), self.size, self.large, strict=True)
        rows, columns = (_bicubic(place, here, there) for place, here, there in places)
        planes = pictures.permute(0, 3, 1, 2).float()
        count, channels, height, width = planes.shape
        with full_float32():  # TF32 would round the weights, and now and then a pixel the other way
            across = planes.reshape(count, channels * height, width) @ columns.transpose(1, 2)
            across = across.round_().clamp_(0, 255).view(count, channels, height, width)
            down = (rows[:, None] @ across).round_().clamp_(0, 255)
        return down.to(torch.uint8).permute(0, 2, 3, 1)

    def _places(self) -> list[Tensor]:
        """The rows and the columns of the enlarged pictures that the part consists of, (N, side) each."""
        places = []
        for side, start, turn in zip(self.size, self.starts, self.turned, strict=True):
            steps = torch.arange(side, device=start.device)
            places.append(start[:, None] + torch.where(turn[:, None], side - 1 - steps, steps))
        return places


def _bicubic(places: Tensor, here: int, there: int) -> Tensor:
    """The weight of each of `here` pixels in some of `there` that are made of them, (N, side, here) float32.

    Keys 1981 (doi:10.1109/TASSP.1981.1163711) with a = -0.5, as Pillow and antialiased torch have it.
    """
    centre = (places + 0.5) * (here / there)
    x = (torch.arange(here, device=places.device) + 0.5 - centre[..., None]).abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
    return weights / weights.sum(dim=-1, keepdim=True)


def _resized_in_bytes(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Photos (N, H, W, 3) uint8 at another size, bicubic; fast, and there on CPUs alone."""
    large = F.interpolate(pictures.permute(0, 3, 1, 2), size=size, mode="bicubic", antialias=True)
    return large.permute(0, 2, 3, 1)
