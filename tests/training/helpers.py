"""Small runs for the tests of training."""

from pathlib import Path
from typing import Any

import torch

from components.systems.translation.pix2pix import PatchGANConfig, Pix2PixConfig, UNetConfig
from components.training.config import TrainConfig
from components.training.run import Run, plan


def small_run(shards: Path, root: Path, norm: str = "instance", dropout: float = 0.0, **train: Any) -> Run:
    """A pix2pix of a few thousand weights at 32x32."""
    system = Pix2PixConfig(
        patch_size=16,
        generator=UNetConfig(width=4, levels=3, norm=norm, dropout=dropout),
        discriminator=PatchGANConfig(width=4, norm=norm),
    )
    settings = {"steps": 6, "batch_size": 4, "checkpoint_every": 3, "log_every": 1, "learning_rate": 1e-3}
    return plan(system, TrainConfig(**(settings | train)), shards, root)


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    """The last checkpoint's weights."""
    last = run.checkpoints.last()
    assert last is not None
    return last.weights()
