"""What ranks hold is the same on each at every checkpoint, and is what the checkpoint holds."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from components.training import loop
from components.training.group import Group
from components.training.run import Run
from components.training.validation import Validation
from tests.reliability import ranks
from tests.reliability.state import WAYS, contents, differences, leaves, run_as

PROMISE = pytest.mark.promise(
    "12 BatchNorm's moments, averages, pools, optimizers: the same on every rank at every checkpoint"
)
SETTINGS = {"steps": 6, "checkpoint_every": 2, "batch_size": 6, "keep_checkpoints": 6, "cache_mb": 1}
FEW = ["pix2pix, BatchNorm a rank and dropout", "cyclegan", "simgan"]


def digest(value: Any) -> str:
    """Of the bits of a tensor, or of anything else as it is written."""
    data = value.contiguous().numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
    return hashlib.sha256(data).hexdigest()


class Store:
    """Takes what a rank would save, and notes the digest of each piece."""

    def __init__(self, notes: dict[str, dict[str, str]]) -> None:
        self.notes = notes

    def save(self, step: int, weights: dict, state: dict, score: float | None) -> None:
        tree = {"weights": weights, "state": state}
        self.notes[str(step)] = {str(place): digest(value) for place, value in leaves(tree)}


def note(group: Group, runs: list[Run], folder: Path) -> None:
    """Train each run, and note on every rank what it would save where rank 0 does save."""
    for number, run in enumerate(runs):
        store = Store({})

        class Noting(Validation):
            def draw(self, step: int) -> dict[str, float]:
                drawn = super().draw(step)
                loop.save(SimpleNamespace(checkpoints=store), self._trainer, step, None)  # noqa: B023
                return drawn

        loop.Validation = Noting
        loop.fit(run, group)
        (folder / f"{number}_{group.rank}.json").write_text(json.dumps(store.notes))


@PROMISE
@pytest.mark.parametrize(
    ("ways", "world"),
    [(FEW, 2), *(pytest.param(list(WAYS), world, marks=pytest.mark.slow) for world in (2, 3))],
    ids=["few on 2", "all on 2", "all on 3"],
)
def test_at_every_checkpoint_ranks_hold_the_same(tiny_sizes, tmp_path, tally, ways, world):
    runs = [run_as(way, tiny_sizes, tmp_path / "runs", **SETTINGS) for way in ways]
    ranks.together(world, tmp_path, note, runs, tmp_path)
    for number, (way, run) in enumerate(zip(ways, runs, strict=True)):
        first, *others = (json.loads((tmp_path / f"{number}_{rank}.json").read_text()) for rank in range(world))
        kept = {str(checkpoint.step): contents(checkpoint) for checkpoint in run.checkpoints.all()}
        assert list(kept) == list(first) == ["2", "4", "6"]
        for step, pieces in first.items():
            saved = {str(place): digest(value) for place, value in kept[step].items()}
            tally.count(saved == pieces, f"{way}, step {step}: rank 0 saved something else")
            for place, mine in pieces.items():
                tally.count(all(other[step][place] == mine for other in others), f"{way}, step {step}: {place}")


def stop_twice(group: Group, run: Run) -> None:
    """A run that stops on its way, between its checkpoints."""
    for until in (3, 5, 6):
        loop.fit(run, group, until)


def test_a_stop_between_checkpoints_moves_no_weight(tiny_sizes, tmp_path):
    """It takes the mean of BatchNorm's moments once more, so they may differ in their last bits; nothing reads them
    while the run trains."""
    whole, stopped = (run_as(FEW[0], tiny_sizes, tmp_path / name, **SETTINGS) for name in ("whole", "stopped"))
    ranks.together(2, tmp_path, loop_fit, whole)
    ranks.together(2, tmp_path, stop_twice, stopped)
    one, two = (contents(run.checkpoints.last()) for run in (whole, stopped))
    for place in differences(one, two):
        assert str(place[-1]).endswith(("running_mean", "running_var")), place
        assert torch.allclose(one[place], two[place], rtol=1e-5, atol=1e-7), place


def loop_fit(group: Group, run: Run) -> None:
    loop.fit(run, group)
