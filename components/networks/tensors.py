"""Tensors into a safetensors file."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor], said: dict[str, str] | None = None) -> None:
    """Write tensors by name, wherever they are, and what is `said` of them; takes as much memory again as they do.

    The library's own writer is not used: it hides the disk's errors (none left, read-only) in one of its own.
    """
    path.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, said))
