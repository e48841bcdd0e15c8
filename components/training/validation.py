"""What a run looks like while it trains: figures and pictures of the val split."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from components.shards.manifest import Manifest
from components.shards.reader import evenly, open_side
from components.storage.files import atomic_path
from components.storage.home import AnyPath
from components.systems.system import Batch, Given, Shape
from components.tasks.encoding import content_seed, decode, render, to_one_size
from components.training.alarms import DIVERSITY, diversity
from components.training.batches import inputs_of, to_batch, to_device
from components.training.group import Group
from components.training.quality import KID, Quality, takes_kid
from components.training.run import Run
from components.training.trainer import Trainer

_PICTURES = 8
_BATCH = 16


class Validation:
    """Figures over samples of the val split, shared among the ranks, and a grid of eight, evenly spaced.

    Networks are in eval mode and carry their averages where the run keeps an EMA. Of an unaligned set the
    samples of the two sides are put together as they lie, and a grid shows no true target; nor does one of pictures
    that are made from noise.
    """

    def __init__(self, run: Run, shape: Shape, trainer: Trainer, group: Group) -> None:
        self._run, self._shape, self._trainer, self._group = run, shape, trainer, group
        task = run.task
        self._sides = [open_side(run.shards, "val", name) for name in task.domains]
        self._paired = task.source not in (None, task.target) and Manifest.read(run.shards).aligned
        self._samples = self._evenly(run.train.validation_samples)
        self._pictures = self._evenly(_PICTURES)
        self._quality = Quality(trainer.system, shape, group, len(self._samples)) if takes_kid(run, shape) else None

    def measure(self) -> dict[str, float]:
        """The KID, where it is taken, and the system's validation figures, each the mean over the samples.

        The first of them chooses the best checkpoint. Every rank calls this, and gets the same.
        """
        rank, world = self._group.rank, self._group.world
        system = self._trainer.system
        mine = self._samples[rank::world] or self._samples[:1]
        sums: dict[str, float] = {}
        with self._looking():
            for start in range(0, len(mine), _BATCH):
                self._group.alive()
                indices = mine[start : start + _BATCH]
                batch = self._batch(indices)
                terms = system.validation(system.networks, batch)
                if self._quality is not None:
                    self._quality.see(system.networks, batch)
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item() * len(indices)
        totals = torch.tensor([*sums.values(), len(mine)], dtype=torch.float64, device=self._group.device)
        *means, count = self._group.mean(totals).tolist()
        kid = {} if self._quality is None else {KID: self._quality.measure()}
        return kid | {name: mean / count for name, mean in zip(sums, means, strict=True)}

    def draw(self, step: int) -> dict[str, float]:
        """Write samples/step_N.png: for each use its sources, what is made of them, and the true targets, as there are.

        Where a use has styles, the pictures are shown in them by turns.

        Returns:
            The `diversity` of what each use made (`diversity_back` on the way back); only on rank 0.
        """
        if not self._group.leads:
            return {}
        system, batch, shape = self._trainer.system, self._batch(self._pictures), self._shape
        if self._run.task.within:
            # Each in the class after its own, by the first picture of it; or with one attribute the other way round.
            shown = batch["condition"]
            asked = shown.roll(1, dims=1) if shape.condition.exclusive else _one_changed(shown)
            first = (asked @ shown.T).argmax(dim=1)
            batch |= {"condition": asked, "reference": batch["target"][first]}
        rows, diversities = [], {}
        with self._looking():
            for use in system.uses.values():
                domain = shape.made_by(use)
                if domain.askable:
                    continue  # a judge that reads one has no picture to show
                ends = ("target", "source") if use.makes == "source" else ("source", "target")
                given = Given(batch["seeds"], batch.get(ends[0]), batch.get("condition"))
                if count := len(use.styles):
                    turns = torch.arange(len(given.seeds), device=self._group.device) % count
                    given = replace(given, styles=torch.eye(count, device=self._group.device)[turns])
                if "reference" in use.needs:
                    given = replace(given, reference=batch["reference"])
                made = use.run(use.of(system.networks), given)
                diversities[f"{DIVERSITY}{'_back' * (use.makes == 'source')}"] = diversity(made, batch[ends[1]])
                if "source" in use.needs:
                    start = shape.target if use.makes == "source" else shape.source
                    rows.append(render(start, decode(start, batch[ends[0]])))
                rows.append(render(domain, decode(domain, made)))
                if self._paired:
                    rows.append(render(domain, decode(domain, batch[ends[1]])))
        if rows:
            save_grid(self._run.folder / "samples" / f"step_{step:06d}.png", tuple(rows))
        return {name: value for name, value in diversities.items() if value is not None}

    def _evenly(self, count: int) -> list[tuple[int, int]]:
        """`count` samples (or all there are), their places in the two sides, spread over each."""
        least = min(count, *map(len, self._sides))
        places = [evenly(len(side), least) for side in self._sides]
        return list(zip(*places, strict=True))

    def _batch(self, places: list[tuple[int, int]]) -> Batch:
        pictures = {
            name: np.stack([side.picture(place[i], name) for place in places])
            for i, (name, side) in enumerate(zip(self._run.task.domains, self._sides, strict=True))
        }
        task = self._run.task
        seeded = task.target if task.source is None else task.source
        seeds = np.asarray([content_seed(picture) for picture in pictures[seeded]])
        inputs = inputs_of(pictures, seeds, self._run.task, self._shape)
        return to_batch(to_device(inputs, self._group.device), self._shape)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Eval mode, averaged weights, no gradients; all as before afterwards."""
        ema, networks = self._trainer.ema, self._trainer.system.networks
        networks.eval()
        with torch.no_grad(), ema.applied() if ema else nullcontext():
            yield
        networks.train()


def save_grid(path: AnyPath, rows: tuple[np.ndarray, ...]) -> None:
    """Write rows of equally many uint8 pictures (N, H, W, 3) as one PNG, two pixels apart, all at the largest size."""
    cells = [np.pad(row, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255) for row in to_one_size(rows)]
    grid = np.concatenate([np.concatenate(list(row), axis=1) for row in cells], axis=0)
    with atomic_path(path) as temporary:
        Image.fromarray(grid).save(temporary, format="PNG")


def _one_changed(shown: torch.Tensor) -> torch.Tensor:
    """Attributes (N, classes) with one of each the other way round: the first of the first, and so on."""
    places = torch.arange(len(shown), device=shown.device)[:, None] % shown.shape[1]
    return shown.scatter(1, places, 1 - shown.gather(1, places))
