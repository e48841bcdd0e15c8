"""Weights files from outside: read without unpickling, and refused by name when they fit another network."""

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor

from components.faults import Fault
from components.storage.files import sha256_file

if TYPE_CHECKING:  # a registered model carries this file without components/storage/home.py
    from components.storage.home import AnyPath


def averaged(weights: dict[str, Tensor], network: str) -> dict[str, Tensor]:
    """One network's state dict out of a checkpoint's `network.key` weights, its averages (`ema.network.key`)
    in place of the weights where the run kept them."""
    own = {key.removeprefix(f"{network}."): v for key, v in weights.items() if key.startswith(f"{network}.")}
    prefix = f"ema.{network}."
    return own | {key.removeprefix(prefix): v for key, v in weights.items() if key.startswith(prefix)}


def require_sha256(file: Path, expected: str, beside: str, remedy: str) -> None:
    """Refuse a file that is not the very one that the card beside it was written for.

    Args:
        expected: 64 hex digits. beside: name of the file that says so. remedy: what to do, for the message.

    Raises:
        Fault: there is no such file, or it has other bytes; names both hashes.
    """
    try:
        found = sha256_file(file)
    except FileNotFoundError:
        raise Fault(f"{file}: not found, though {beside} names it ({expected}); {remedy}") from None
    if found != expected:
        raise Fault(f"{file}: its sha256 differs from the one in {beside}: {found}, not {expected}; {remedy}")


def load_weights(file: "AnyPath", data: bytes | None = None) -> dict[str, Tensor]:
    """Read a weights file whatever network it is of.

    Args:
        data: its bytes, where they are here already; a remote file's must be given.

    Raises:
        Fault: not a safetensors file.
    """
    try:
        return load_file(file) if data is None else load(data)
    # A type that torch does not have is a KeyError of the library.
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise Fault(f"{file}: not a readable safetensors file ({' '.join(str(error).split())})") from error


def read_weights(file: Path, expected: dict[str, Tensor], what: str) -> dict[str, Tensor]:
    """Read a weights file for networks that expect these names, shapes and types.

    Raises:
        Fault: not a safetensors file, or the weights of another network; names the first difference.
    """
    weights = load_weights(file)
    require_fit(weights, expected, file, what)
    return weights


def require_fit(weights: dict[str, Tensor], expected: dict[str, Tensor], file: "AnyPath | str", what: str) -> None:
    """Refuse weights that are not those of a network, or that no network can work with.

    Args:
        expected: its state dict. file: where the weights are from. what: the network's name, for the message.

    Raises:
        Fault: another name, shape or type, or a value that is not finite; names the first.
    """
    missing, extra = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or extra:
        first = f"lacks {missing[0]}" if missing else f"has {extra[0]}, which is not expected"
        raise Fault(f"{file}: not the weights of {what}: it {first}")
    for name, value in weights.items():
        if value.shape != expected[name].shape:
            sizes = f"{tuple(value.shape)}, not {tuple(expected[name].shape)}"
            raise Fault(f"{file}: not the weights of {what}: {name} is {sizes}")
        if value.dtype != expected[name].dtype:
            raise Fault(f"{file}: not the weights of {what}: {name} is {value.dtype}, not {expected[name].dtype}")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise Fault(f"{file}: {name} is not finite; {what} cannot work with it, take an earlier checkpoint")
