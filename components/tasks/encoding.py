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
    becomes one-hot (N, classes, H, W) in {0, 1}. Bytes cross to the device, floats are made there.

    Raises:
        Fault: a class index that the domain does not have.
    """
    pictures = torch.from_numpy(np.ascontiguousarray(batch)).to(device, non_blocking=True)
    if domain.kind == "image":
        return pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    classes = len(domain.classes)
    if batch.size and int(batch.max()) >= classes:
        raise Fault(f"label {int(batch.max())} is outside the {classes} classes (0 to {classes - 1})")
    return F.one_hot(pictures.long(), classes).permute(0, 3, 1, 2).float()


def decode(domain: Domain, batch: Tensor) -> np.ndarray:
    """Turn network output back into uint8: images (N, H, W, 3) from [-1, 1], labels (N, H, W) by arg max."""
    if domain.kind == "label":
        return batch.argmax(dim=1).to(torch.uint8).cpu().numpy()
    pixels = batch.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def render(domain: Domain, batch: np.ndarray) -> np.ndarray:
    """Pictures for people to look at, uint8 (N, H, W, 3): a label map is drawn in its palette."""
    if domain.kind == "image":
        return batch
    return np.asarray(domain.palette, dtype=np.uint8)[batch]


def content_seed(picture: np.ndarray) -> int:
    """A 63-bit seed from a picture's own bytes: what is random about its translation, wherever it is made."""
    digest = hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
