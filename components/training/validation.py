"""What a run looks like while it trains: figures and pictures of the val split."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from PIL import Image

from components.files import atomic_path
from components.home import AnyPath
from components.shards.reader import Split
from components.systems.system import Batch, Shape
from components.tasks.encoding import content_seed, decode, render
from components.training.batches import to_batch
from components.training.group import Group
from components.training.run import Run
from components.training.trainer import Trainer

_PICTURES = 8
_BATCH = 16


class Validation:
    """Figures over samples of the val split, shared among the ranks, and a grid of eight, evenly spaced.

    Networks are in eval mode and carry their averages where the run keeps an EMA.
    """

    def __init__(self, run: Run, shape: Shape, trainer: Trainer, group: Group) -> None:
        self._run, self._shape, self._trainer, self._group = run, shape, trainer, group
        self._split = Split(run.shards, "val")
        self._samples = _evenly(len(self._split), run.train.validation_samples)
        self._pictures = _evenly(len(self._split), _PICTURES)

    def measure(self) -> dict[str, float]:
        """The system's validation figures, each the mean over the samples; on every rank."""
        rank, world = self._group.rank, self._group.world
        mine = self._samples[rank::world] or self._samples[:1]
        sums: dict[str, float] = {}
        with self._looking():
            for start in range(0, len(mine), _BATCH):
                self._group.alive()
                indices = mine[start : start + _BATCH]
                terms = self._trainer.system.validation(self._trainer.system.networks, self._batch(indices))
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item() * len(indices)
        totals = torch.tensor([*sums.values(), len(mine)], dtype=torch.float64, device=self._group.device)
        *means, count = self._group.mean(totals).tolist()
        return {name: mean / count for name, mean in zip(sums, means, strict=True)}

    def draw(self, step: int) -> None:
        """Write samples/step_N.png: sources, their translations, the true targets, one row each."""
        if not self._group.leads:
            return
        system, batch = self._trainer.system, self._batch(self._pictures)
        translation = next(iter(system.translations.values()))
        with self._looking():
            made = translation.run(system.networks[translation.network], batch["source"], batch["seeds"])
        rows = (
            render(self._shape.source, decode(self._shape.source, batch["source"])),
            render(self._shape.target, decode(self._shape.target, made)),
            render(self._shape.target, decode(self._shape.target, batch["target"])),
        )
        save_grid(self._run.folder / "samples" / f"step_{step:06d}.png", rows)

    def _batch(self, indices: list[int]) -> Batch:
        samples = [self._split.read(index)[1] for index in indices]
        pictures = {name: np.stack([sample[name] for sample in samples]) for name in self._run.task}
        seeds = np.asarray([content_seed(picture) for picture in pictures[self._run.task[0]]])
        return to_batch(pictures, seeds, self._run.task, self._shape, self._group.device)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Eval mode, averaged weights, no gradients; all as before afterwards."""
        ema, networks = self._trainer.ema, self._trainer.system.networks
        networks.eval()
        with torch.no_grad(), ema.applied() if ema else nullcontext():
            yield
        networks.train()


def _evenly(samples: int, count: int) -> list[int]:
    """`count` indices (or all there are) spread over a split, whose order is by place or name."""
    return [int(index) for index in np.linspace(0, samples - 1, min(samples, count)).round()]


def save_grid(path: AnyPath, rows: tuple[np.ndarray, ...]) -> None:
    """Write rows of equally many uint8 pictures (N, H, W, 3) as one PNG, two pixels apart."""
    cells = [np.pad(row, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255) for row in rows]
    grid = np.concatenate([np.concatenate(list(row), axis=1) for row in cells], axis=0)
    with atomic_path(path) as temporary:
        Image.fromarray(grid).save(temporary, format="PNG")
