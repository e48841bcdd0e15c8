"""Runs that are stopped on each side of a change in time, and one that never is."""

import torch
from torch import Tensor

from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run


def fit_whole_and_cut(group: Group, whole: Run, cuts: list[Run], stops: tuple[int, ...]) -> None:
    """Train a run without a stop, and each of `cuts` with one, after the step that `stops` names for it."""
    fit(whole, group)
    for until, run in zip(stops, cuts, strict=True):
        fit(run, group, until=until)
        group.mean(torch.zeros(1))  # no rank looks for the checkpoint before the first has written it
        fit(run, group)


def weights_after(run: Run, step: int) -> dict[str, Tensor]:
    """The weights after a step whose checkpoint the run has kept."""
    return next(checkpoint for checkpoint in run.checkpoints.all() if checkpoint.step == step).weights()
