"""Weights files from outside: read without unpickling, and refused by name when they fit another network."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from components.faults import Fault


def averaged(weights: dict[str, Tensor], network: str) -> dict[str, Tensor]:
    """One network's state dict out of a checkpoint's `network.key` weights, its averages (`ema.network.key`)
    in place of the weights where the run kept them."""
    own = {key.removeprefix(f"{network}."): v for key, v in weights.items() if key.startswith(f"{network}.")}
    prefix = f"ema.{network}."
    return own | {key.removeprefix(prefix): v for key, v in weights.items() if key.startswith(prefix)}


def read_weights(file: Path, expected: dict[str, Tensor], what: str) -> dict[str, Tensor]:
    """Read a weights file for networks that expect these names and shapes.

    Raises:
        Fault: not a safetensors file, or the weights of another network; names the first difference.
    """
    try:
        weights = load_file(file)
    except Exception as error:
        raise Fault(f"{file}: not a readable safetensors file ({error})") from error
    missing, extra = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or extra:
        first = f"lacks {missing[0]}" if missing else f"has {extra[0]}, which is not expected"
        raise Fault(f"{file}: not the weights of {what}: it {first}")
    for name, value in weights.items():
        if value.shape != expected[name].shape:
            sizes = f"{tuple(value.shape)}, not {tuple(expected[name].shape)}"
            raise Fault(f"{file}: not the weights of {what}: {name} is {sizes}")
    return weights
