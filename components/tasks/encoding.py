"""Between pictures as people store them (uint8) and tensors as networks see them (float32)."""

import hashlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from components.domain import Domain
from components.faults import Fault


def encode(domain: Domain, batch: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """Turn uint8 pictures into network input.

    An image batch (N, H, W, 3) becomes (N, 3, H, W) in [-1, 1]; a label batch (N, H, W) of class indices
    becomes one-hot (N, classes, H, W) in {0, 1} or, encoded in colour, (N, 3, H, W) in [-1, 1]; categories (N,) become
    one-hot (N, classes). Bytes cross
    to the device, floats are made there.

    A pixel that is not labelled is 0 in every channel of one-hot, and black in colour.

    Raises:
        Fault: a class index that the domain does not have.
    """
    classes = len(domain.classes)
    if domain.kind == "category":
        if stranger := domain.stranger(batch):
            raise Fault(stranger)
        return F.one_hot(torch.from_numpy(batch).to(device, non_blocking=True).long(), classes).float()
    if domain.kind == "label" and domain.stranger(batch.reshape(-1, batch.shape[-1])):
        raise Fault(next(filter(None, map(domain.stranger, batch))))
    drawn = render(domain, batch) if domain.in_colour else batch
    pictures = torch.from_numpy(np.ascontiguousarray(drawn)).to(device, non_blocking=True)
    if domain.in_colour:
        return pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    if domain.ignore is not None and domain.ignore >= classes:
        shown = F.one_hot(pictures.long().clamp(max=classes), classes + 1)[..., :classes]
        return shown.permute(0, 3, 1, 2).float()
    return F.one_hot(pictures.long(), classes).permute(0, 3, 1, 2).float()


def decode(domain: Domain, batch: Tensor) -> np.ndarray:
    """Turn network output back into uint8: images (N, H, W, 3) from [-1, 1]; labels (N, H, W) by arg max or,
    encoded in colour, by the nearest colour of the palette (of equals the first); categories (N,) by arg max."""
    if domain.kind == "label" and domain.in_colour:
        return _nearest(domain, batch).to(torch.uint8).cpu().numpy()
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
    """Pictures for people to look at, uint8 (N, H, W, 3): a label map is drawn in its palette, unlabelled in black."""
    if domain.kind == "image":
        return batch
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(domain.palette)] = domain.palette
    return colours[batch]


def content_seed(picture: np.ndarray) -> int:
    """A 63-bit seed from a picture's own bytes: what is random about its translation, wherever it is made."""
    digest = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
