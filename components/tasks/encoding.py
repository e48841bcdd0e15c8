"""Between pictures as people store them (uint8) and tensors as networks see them (float32)."""

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from components.faults import Fault
from components.samples.domain import POINT_SIZE, Colour, Domain, bytes_of_points
from components.tasks.scatter import marked


def encode(domain: Domain, batch: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """Turn uint8 pictures into network input, as `as_input` does, on a device: bytes cross, floats are made there.

    Raises:
        Fault: a class index that the domain does not have.
    """
    require_classes(domain, batch)
    return as_input(domain, torch.from_numpy(np.ascontiguousarray(batch)).to(device, non_blocking=True))


def require_classes(domain: Domain, batch: np.ndarray) -> None:
    """Refuse a batch of label maps (N, H, W), categories (N,) or attributes (N, classes) that hold what is no class.

    Raises:
        Fault: naming the first.
    """
    if domain.askable and (stranger := domain.stranger(batch)):
        raise Fault(stranger)
    if domain.kind == "label" and domain.stranger(batch.reshape(-1, batch.shape[-1])):
        raise Fault(next(filter(None, map(domain.stranger, batch))))


def as_input(domain: Domain, batch: Tensor) -> Tensor:
    """Network input of uint8 pictures, on their device, whose classes are those of the domain.

    An image batch (N, H, W, 3) becomes (N, 3, H, W) in [-1, 1]; a label batch (N, H, W) of class indices
    becomes one-hot (N, classes, H, W) in {0, 1} or, encoded in colour, (N, 3, H, W) in [-1, 1]; categories (N,) become
    one-hot (N, classes), and attributes (N, classes) the same in {0, 1}. A pixel that is not labelled is 0 in every
    channel of one-hot, and black in colour. Points (N, 8, 1) become (N, 2, 1, 1), their values as they are.
    """
    if domain.kind == "point":
        return batch.reshape(len(batch), POINT_SIZE[0]).contiguous().view(torch.float32)[:, :, None, None]
    if domain.kind == "attributes":
        return batch.float()
    if domain.kind == "label" and domain.in_colour:
        batch = _colours(domain.palette, batch.device)[batch.long()]
    if domain.in_colour:
        return batch.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    classes = torch.arange(len(domain.classes), dtype=torch.uint8, device=batch.device)
    shown = (batch[..., None] == classes).float()
    return shown if domain.kind == "category" else shown.permute(0, 3, 1, 2)


@cache
def _colours(palette: tuple[Colour, ...], device: torch.device) -> Tensor:
    """What each byte of a label map is drawn in, (256, 3) uint8; black of what is no class."""
    colours = torch.zeros(256, 3, dtype=torch.uint8)
    colours[: len(palette)] = torch.tensor(palette, dtype=torch.uint8)
    return colours.to(device)


def decode(domain: Domain, batch: Tensor) -> np.ndarray:
    """Turn network output back into uint8: images (N, H, W, 3) from [-1, 1]; labels (N, H, W) by arg max or,
    encoded in colour, by the nearest colour of the palette (of equals the first); categories (N,) by arg max;
    attributes (N, classes), 1 above one half; points (N, 8, 1), which keep their values."""
    if domain.kind == "point":
        return bytes_of_points(batch.float().flatten(1).cpu().numpy())
    if domain.kind == "label" and domain.in_colour:
        return _nearest(domain, batch).to(torch.uint8).cpu().numpy()
    if domain.kind == "attributes":
        return (batch > 0.5).to(torch.uint8).cpu().numpy()
    if domain.kind in ("label", "category"):
        return batch.argmax(dim=1).to(torch.uint8).cpu().numpy()
    pixels = batch.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def _nearest(domain: Domain, batch: Tensor) -> Tensor:
    """The class whose colour is nearest in RGB, (N, H, W), of (N, 3, H, W) in [-1, 1]."""
    palette = torch.tensor(domain.palette, device=batch.device).float().div(127.5).sub(1)
    # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 is the same for every class.
    dots = torch.einsum("nchw,kc->nkhw", batch.float(), palette)
    distances = palette.square().sum(dim=1)[:, None, None] - 2 * dots
    return distances.argmin(dim=1)


def render(domain: Domain, batch: np.ndarray) -> np.ndarray:
    """Pictures for people to look at, uint8 (N, H, W, 3): a label map is drawn in its palette, unlabelled in black, and
    a point is marked in a picture of its density."""
    if domain.mixture is not None:
        return marked(domain.mixture, batch)
    if domain.kind == "image":
        return batch
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(domain.palette)] = domain.palette
    return colours[batch]


def to_one_size(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Pictures for people, uint8 (..., H, W, 3) each, all enlarged to the largest height and width, nearest pixel."""
    height, width = (max(row.shape[axis] for row in rows) for axis in (-3, -2))
    return [
        row[..., np.arange(height)[:, None] * row.shape[-3] // height, np.arange(width) * row.shape[-2] // width, :]
        for row in rows
    ]


def content_seed(picture: np.ndarray) -> int:
    """A 63-bit seed from a picture's own bytes: what is random about its translation, wherever it is made."""
    digest = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
