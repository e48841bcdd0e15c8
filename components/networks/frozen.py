"""Weights of frozen networks: read without running anything in them, only when they are the very bytes expected."""

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from components.faults import Fault
from components.storage.files import sha256_file

# What reading a damaged or crafted file of torch's makes fail: its own errors, and those of a pickle's opcodes that
# find something else on the stack than they need. None of them comes from code of the file.
UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
)


def read_state_dict(path: Path, sha256: str) -> dict[str, Tensor]:
    """The state dict in a .safetensors or .pth file.

    Raises:
        Fault: no such file, other bytes than expected, or no state dict in it.
    """
    require_bytes(path, sha256)
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, *UNREADABLE) as error:
        raise Fault(f"{path}: not a weights file ({_line(error)})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise Fault(f"{path}: holds no state dict (names and tensors); save model.state_dict() instead")
    return dict(state)


def require_bytes(path: Path, sha256: str) -> None:
    """Refuse a weights file that is not the very one expected.

    Raises:
        Fault: no such file, or other bytes; names both hashes.
    """
    if not path.is_file():
        raise Fault(f"{path}: no such weights file; name one in params.yaml, or remove the feature network")
    found = sha256_file(path)
    if found != sha256:
        raise Fault(f"{path}: its sha256 is {found}, expected {sha256}; it is another file or a broken one")


def load_into(network: nn.Module, state: dict[str, Tensor], path: Path, what: str) -> None:
    """Load a state dict that must fit exactly; counters of batches seen may be missing.

    Raises:
        Fault: names or shapes of another network.
    """
    own = network.state_dict()
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    problems = [
        *_named("missing", own.keys() - counters - state.keys()),
        *_named("unexpected", state.keys() - own.keys()),
        *_named("of another shape", {k for k in own.keys() & state.keys() if own[k].shape != state[k].shape}),
    ]
    if problems:
        raise Fault(f"{path}: not the weights of {what}: {'; '.join(problems)}")
    network.load_state_dict({**{key: own[key] for key in counters}, **state})


def _named(how: str, keys: set[str]) -> list[str]:
    """At most three names, so the line stays one."""
    if not keys:
        return []
    some = sorted(keys)[:3]
    return [f"{len(keys)} {how} ({', '.join(some)}{', …' if len(keys) > 3 else ''})"]


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
