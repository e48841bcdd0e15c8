"""Warm start: a run that begins from weights that another training left, instead of at random."""

import sys

import torch
from torch import Tensor, nn
from tqdm import tqdm

from components.faults import Fault
from components.storage.files import read_bytes
from components.storage.home import AnyPath
from components.systems.weights import averaged, load_weights
from components.training.trainer import Trainer

_NAMED = 5  # tensors that a message names


def begin_from(file: AnyPath, trainer: Trainer) -> None:
    """Take the weights of a file, networks and tensors matched by name and shape; what did not fit is said.

    Optimizers begin anew. Where the file has averages, they are taken in place of the weights that they are of, and
    the run's own averages begin at what was taken.

    Args:
        file: safetensors by `network.key` and `ema.network.key`, as a checkpoint holds them.

    Raises:
        Fault: not such a file, a value that is not finite, or nothing in it fits.
    """
    found = load_weights(file, read_bytes(file))
    left = take_weights(found, trainer.system.networks, str(file))
    if trainer.ema is not None:
        trainer.ema.load(trainer.ema.weights)
    if trainer.group.leads:
        tqdm.write(f"train.start_from: {_said(left, trainer.system.networks)}", file=sys.stderr)


@torch.no_grad()
def take_weights(found: dict[str, Tensor], networks: nn.ModuleDict, where: str) -> dict[str, str]:
    """Put weights into networks by name and shape; gives what stays as it was initialised, with the reason."""
    left: dict[str, str] = {}
    own = networks.state_dict()
    begins = {f"{network}.{key}": value for network in networks for key, value in averaged(found, network).items()}
    for name, value in own.items():
        given = begins.get(name)
        if given is None:
            left[name] = "is not in it"
        elif given.shape != value.shape:
            left[name] = f"is {tuple(given.shape)} there and {tuple(value.shape)} here"
        elif given.is_floating_point() and not bool(given.isfinite().all()):
            raise Fault(f"train.start_from: {where}: {name} is not finite; start from an earlier checkpoint")
        else:
            value.copy_(given)
    if len(left) == len(own):
        names = ", ".join(sorted({name.split(".")[0] for name in found})[:_NAMED])
        raise Fault(
            f"train.start_from: {where}: nothing in it fits {', '.join(networks)}; it has {names or 'no networks'}"
        )
    return left


def _said(left: dict[str, str], networks: nn.ModuleDict) -> str:
    count = len(networks.state_dict())
    said = f"{count - len(left)} of {count} tensors are taken"
    if left:
        named = [f"{name} {why}" for name, why in list(left.items())[:_NAMED]]
        said += f"; at random: {', '.join(named)}" + (f" and {len(left) - _NAMED} more" * (len(left) > _NAMED))
    return said
