"""What a checkpoint holds, piece by piece, and the small runs whose checkpoints are looked at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from components.training.checkpoint import Checkpoint
from components.training.run import Run
from tests.systems.test_every_system import PATCHES, SMALL, UNET, run_of

Place = tuple[str | int, ...]
_TEXTURE = {"generator": {"name": "texture_unet", "widths": [4, 8, 8], "norm": "batch"}}
_DROPOUT = "pix2pix, BatchNorm a rank and dropout"
# Every system, and pix2pix with what the small ones leave out: dropout, BatchNorm's moments, power iterations, noise.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, SMALL[name]) for name in SMALL} | {
    "mgan": ("mgan", SMALL["mgan"] | {"num_heads": 1}),  # of any batch
    # A U-Net has dropout from its sixth level on.
    _DROPOUT: (
        "pix2pix",
        PATCHES
        | {
            "generator": UNET | {"width": 2, "levels": 6, "norm": "batch", "dropout": 0.5},
            "discriminator": {"width": 4},
        },
    ),
    "pix2pix, BatchNorm over ranks": (
        "pix2pix",
        PATCHES | {"generator": UNET | {"norm": "sync_batch"}, "discriminator": {"width": 4, "norm": "sync_batch"}},
    ),
    "pix2pix, noise and spectral norm": (
        "pix2pix",
        PATCHES | _TEXTURE | {"discriminator": {"width": 4, "norm": "none", "spectral": True}},
    ),
}


def run_as(way: str, shards: dict[int, Path], root: Path, **train: Any) -> Run:
    """A run of one of WAYS, on shards of the smallest size that it can be trained on."""
    name, system = WAYS[way]
    return run_of(name, shards[64 if way == _DROPOUT else 32], root, system, **train)


def contents(checkpoint: Checkpoint) -> dict[Place, Any]:
    """All that a checkpoint holds: the leaves of its weights and its state, by their places."""
    return dict(leaves({"weights": checkpoint.weights(), "state": checkpoint.state()}))


def leaves(tree: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Whatever lies in dicts and lists, with its place."""
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(value, (*place, key))
    else:
        yield place, tree


def equal(one: Any, two: Any) -> bool:
    """Bit for bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    return type(one) is type(two) and bool(one == two)


def differences(one: dict[Place, Any], two: dict[Place, Any]) -> list[Place]:
    """The places at which two are not the same."""
    places = sorted(one.keys() | two.keys(), key=str)
    return [place for place in places if not (place in one and place in two and equal(one[place], two[place]))]
