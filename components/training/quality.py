"""The KID of val pictures, by which checkpoints are told apart where `train.best_by` is kid."""

from functools import cache

import torch
from torch import Tensor, nn

from components.networks.lite0 import Lite0Whole
from components.networks.tensors import full_float32
from components.objectives.kernel_distance import kernel_distance
from components.samples.domain import Domain
from components.shards.manifest import Manifest
from components.systems.system import Batch, Given, Shape, System
from components.tasks.encoding import decode, render
from components.training.group import Group
from components.training.run import Run

KID = "kid"
LEAST = 16  # pictures; the KID of fewer is mostly noise
# The side to which pictures are resized for the network. At the 224 that `evaluate` takes, a KID costs three times as
# much, and orders pictures alike (docs/decisions/best-checkpoint.md).
_SIDE = 128


def takes_kid(run: Run, shape: Shape) -> bool:
    """Whether checkpoints are told apart by KID: of pictures, where the system does not say that something else tells
    more (`judged_by_kid`), and val has enough of them."""
    return _wanted(run, shape) and _samples(run) >= LEAST


def notes(run: Run, shape: Shape) -> tuple[str, ...]:
    """What people should know before the run begins."""
    if not _wanted(run, shape) or (samples := _samples(run)) >= LEAST:
        return ()
    few = f"val gives {samples} samples, and a KID needs {LEAST}"
    return (f"train.best_by: {few}; the best checkpoint is chosen by the system's own validation metric",)


def _wanted(run: Run, shape: Shape) -> bool:
    return run.train.best_by == KID and run.system.judged_by_kid and shape.target.kind == "image"


def _samples(run: Run) -> int:
    manifest = Manifest.read(run.shards)
    sides = (manifest.count(manifest.side("val", name)) for name in run.task.domains)
    return min(run.train.validation_samples, *sides)


class Quality:
    """Measures the KID between what a system makes of val samples and their real pictures, as one figure of all ranks.

    Of a system that makes pictures both ways it is the mean over both ways. The features of the real pictures are taken
    once.

    Args:
        count: samples, shared among the ranks: sample i belongs to rank i modulo their number.
    """

    def __init__(self, system: System, shape: Shape, group: Group, count: int) -> None:
        self._uses = [use for use in system.uses.values() if shape.made_by(use).kind == "image"]
        self._shape, self._group, self._count = shape, group, count
        self._made: list[Tensor] = []
        self._real: list[Tensor] = []
        self._features_of_real: Tensor | None = None

    def see(self, networks: nn.ModuleDict, batch: Batch) -> None:
        """Take in the next of this rank's samples, with networks that are in eval mode."""
        given = Given(batch["seeds"], batch.get("source"), batch.get("condition"))
        back = Given(batch["seeds"], batch["target"], batch.get("condition"))
        made, real = [], []
        for use in self._uses:
            goes_back = use.makes == "source"
            domain = self._shape.made_by(use)
            made.append(self._features(domain, use.run(use.of(networks), back if goes_back else given)))
            if self._features_of_real is None:
                real.append(self._features(domain, batch[use.makes]))
        self._made.append(torch.stack(made, dim=1))
        if real:
            self._real.append(torch.stack(real, dim=1))

    def measure(self) -> float:
        """The KID of all samples that the ranks have taken in; every rank calls this, and gets the same."""
        if self._features_of_real is None:
            self._features_of_real = self._joined(self._real)
        made, real = self._joined(self._made), self._features_of_real
        self._made, self._real = [], []
        each = [kernel_distance(made[:, i], real[:, i]) for i in range(len(self._uses))]
        return float(torch.stack(each).mean())

    def _features(self, domain: Domain, pictures: Tensor) -> Tensor:
        """Of pictures as networks make them, (N, C, H, W), rounded as they would be written; (N, 1280)."""
        drawn = torch.from_numpy(render(domain, decode(domain, pictures))).to(self._group.device)
        with torch.no_grad(), full_float32():
            features: Tensor = _network(self._group.device)(drawn.permute(0, 3, 1, 2))[0]
        return features

    def _joined(self, parts: list[Tensor]) -> Tensor:
        """Features (count, uses, 1280) of all ranks in the samples' own order. A sum with zeros rounds nothing."""
        own = torch.cat(parts)
        joined = own.new_zeros(self._count, *own.shape[1:])
        places = range(self._group.rank, self._count, self._group.world)
        joined[self._group.rank :: self._group.world] = own[: len(places)]  # a rank without a sample has looked at one
        return self._group.total(joined)


@cache
def _network(device: torch.device) -> Lite0Whole:
    """The one copy of this process on a device."""
    return Lite0Whole(_SIDE).to(device)
