"""Every piece of a checkpoint is needed: a run that is resumed without it ends with other weights."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from components.faults import Fault
from components.systems import build
from components.training import loop, trainer
from components.training.checkpoint import CheckpointStore
from components.training.ema import EMA
from components.training.feed import Feed
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.trainer import Trainer
from tests.reliability.state import WAYS, Place, contents, differences, equal, leaves, run_as

PROMISE = "7 a checkpoint without any one piece: the test above would fail"
FROM, STEPS = 3, 4
SETTINGS = {"steps": STEPS, "checkpoint_every": FROM, "validation_samples": 1, "constant_share": 0.0, "batch_size": 2}
# Pieces without which nothing changes, but for those of `follows`: torch's Adam does not load a state without them.
# They are constants of the params, but for the rate, which is set at each step from the number of the step.
CONSTANT = "param_groups"


def follows(place: Place, saved: dict[Place, Any]) -> bool:
    """Whether a tensor is made anew, before it is read, from others of the checkpoint.

    Of spectral norm's two vectors each step first makes u, from v and the weight. Where the weight has one row,
    v is that row's direction whatever it was before, but for its sign, which u has too.
    """
    *way, name = place
    if not str(name).endswith(("._u", "._v")):
        return False
    return str(name).endswith("u") or saved[(*way, f"{str(name)[:-1]}u")].numel() == 1


class Captured(CheckpointStore):
    """A store that only remembers what it was given."""

    def save(self, step: int, weights: dict, state: dict, score: float | None) -> None:
        self.tree = deepcopy({"weights": weights, "state": state})


def fresh(run: Run) -> dict[Place, Any]:
    """What a trainer holds that has taken no step."""
    torch.manual_seed(run.train.seed)
    system = build(run.system, run.shape())
    store = Captured(run.folder)
    loop.save(SimpleNamespace(checkpoints=store), Trainer(system, run.train, STEPS, Group()), 0, None)
    return dict(leaves(store.tree))


def pieces(run: Run, places: list[Place]) -> dict[str, list[Place]]:
    """Places by what they are together: a network's parameters, one moment of an optimizer, a part of a memory."""
    buffers = {name for name, _ in build(run.system, run.shape()).networks.named_buffers()}
    found: dict[str, list[Place]] = {}
    for place in places:
        if place[0] == "weights":
            name = str(place[1])
            network = ".".join(name.split(".")[: 1 + name.startswith("ema.")])
            kind = name.split(".")[-1] if name in buffers else "parameters"
            piece = f"{network}: {kind}"
        else:
            piece = " ".join(str(key) for key in place[1:] if not isinstance(key, int))
        found.setdefault(piece, []).append(place)
    return found


def without(tree: dict[str, Any], lost: list[Place], known: dict[Place, Any]) -> dict[str, Any]:
    """A checkpoint with pieces as they are before the first step: a fresh trainer's, zeros where it has none."""
    tree = deepcopy(tree)
    for place in lost:
        *way, key = place
        holder = tree
        for step in way:
            holder = holder[step]
        value, before = holder[key], known.get(place)
        nothing = torch.zeros_like(value) if isinstance(value, torch.Tensor) else type(value)()
        holder[key] = nothing if before is None else before
    return tree


def resumed(run: Run, tree: dict[str, Any], root: Path, step: int = FROM) -> dict[Place, Any] | None:
    """The weights at the end of a run that goes on from a checkpoint of this content; None if it cannot."""
    copy = replace(run, folder=root)
    copy.checkpoints.save(step, tree["weights"], tree["state"], None)
    try:
        fit(copy, Group())
    except Fault:
        return None
    return weights(copy)


def weights(run: Run) -> dict[Place, Any]:
    last = run.checkpoints.last()
    assert last is not None
    assert last.step == STEPS
    return {place: value for place, value in contents(last).items() if place[0] == "weights"}


def trained(way: str, shards: dict[int, Path], root: Path) -> tuple[Run, dict[str, Any]]:
    """A finished run, and its checkpoint on the way."""
    run = run_as(way, shards, root, **SETTINGS)
    fit(run, Group())
    middle = run.checkpoints.all()[0]
    assert middle.step == FROM
    return run, {"weights": middle.weights(), "state": middle.state()}


FEW = "pix2pix, BatchNorm a rank and dropout"
MANY = [pytest.param(way, False, marks=pytest.mark.slow) for way in WAYS]


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize(("way", "together"), [(FEW, True), *MANY])
def test_a_resume_without_a_piece_ends_elsewhere(tiny_sizes, tmp_path, tally, way, together):
    """Pieces by their kinds `together`, or each tensor and number of them alone."""
    run, tree = trained(way, tiny_sizes, tmp_path / "run")
    whole, known, saved = weights(run), fresh(run), dict(leaves(tree))
    assert not differences(resumed(run, tree, tmp_path / "control"), whole)
    for number, (piece, places) in enumerate(pieces(run, list(saved)).items()):
        constant = CONSTANT in piece
        for lost in [places] if together or constant else [[place] for place in places]:
            changed = without(tree, lost, known)
            gone = differences(dict(leaves(changed)), saved)
            made_anew = all(follows(place, saved) for place in lost)
            held = bool(gone) != constant or made_anew or piece.endswith(" lr")
            tally.count(held, f"{way}: {piece} {lost} is no state")
            if gone:
                folder = tmp_path / f"{number}_{len(lost)}_{places.index(lost[0])}"
                ended = resumed(run, changed, folder)
                differs = ended is None or bool(differences(ended, whole))
                tally.count(differs != (constant or made_anew), f"{way}: {piece} {lost}")


def lose_the_place_in_the_data(patch: pytest.MonkeyPatch) -> None:
    whole = Feed.inputs
    patch.setattr(Feed, "inputs", lambda self, first, last: whole(self, 0, last - first))


def lose_the_place_in_the_schedule(patch: pytest.MonkeyPatch) -> None:
    whole = trainer.rates

    def at_the_start(system: Any, optimizers: Any, config: Any, _step: int, steps: int) -> list[float]:
        return whole(system, optimizers, config, 0, steps)

    patch.setattr(trainer, "rates", at_the_start)


def lose_the_seed_of_the_step(patch: pytest.MonkeyPatch) -> None:
    take = torch.manual_seed
    patch.setattr(trainer.torch, "manual_seed", lambda seed: take(seed - FROM))


def lose_the_warming_up_of_the_average(patch: pytest.MonkeyPatch) -> None:
    whole = EMA.share
    patch.setattr(EMA, "share", lambda self, step: whole(self, step - FROM))


@pytest.mark.promise(PROMISE)
def test_a_resume_that_counts_its_steps_anew_ends_elsewhere(tiny_sizes, tmp_path, tally, monkeypatch):
    run, tree = trained(FEW, tiny_sizes, tmp_path / "run")
    whole = weights(run)
    for lose in (
        lose_the_place_in_the_data,
        lose_the_place_in_the_schedule,
        lose_the_seed_of_the_step,
        lose_the_warming_up_of_the_average,
    ):
        with monkeypatch.context() as patch:
            lose(patch)
            ended = resumed(run, tree, tmp_path / lose.__name__)
        tally.count(ended is not None and bool(differences(ended, whole)), lose.__name__)
    ended = resumed(run, tree, tmp_path / "earlier", step=FROM - 1)
    tally.count(bool(differences(ended, whole)), "the number of the step itself")


def test_a_piece_is_what_it_is_bit_for_bit():
    assert equal(torch.zeros(2), torch.zeros(2))
    assert not equal(torch.zeros(2), torch.zeros(2, dtype=torch.float64))
    assert not equal(torch.zeros(2), torch.tensor([0.0, 1e-45]))
    assert not equal(0, 0.0)
    assert differences({(1,): 1, (2,): 2}, {(1,): 1, (3,): 2}) == [(2,), (3,)]
