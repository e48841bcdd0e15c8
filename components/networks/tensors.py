"""Tensors into a safetensors file, constants on a device, and all bits of float32 on a GPU."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor], said: dict[str, str] | None = None) -> None:
    """Write tensors by name, wherever they are, and what is `said` of them; takes as much memory again as they do.

    The library's own writer is not used: it hides the disk's errors (none left, read-only) in one of its own.
    """
    path.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, said))


@lru_cache(maxsize=32)
def on_device(constant: Tensor, device: torch.device) -> Tensor:
    """A tensor that nobody changes, on a device: copied there once, so that a step with it can be captured."""
    return constant.to(device)


def compute_device() -> torch.device:
    """The GPU of this process, or its CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def full_float32() -> Iterator[None]:
    """Inside the block a GPU's products and convolutions keep all bits of float32, where TF32 keeps eleven: so what is
    measured there is what a CPU measures."""
    cudnn, before = torch.backends.cudnn, (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]
