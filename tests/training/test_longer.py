"""A finished run goes on with more steps where its first steps are those of the longer run, and says why where not."""

from functools import partial

import pytest
import torch

from components.systems.moment import Moment
from components.training import log
from components.training.checkpoint import STATE
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.longer import go_on, same_rates
from components.training.loop import fit
from components.training.run import Run
from components.training.trainer import Trainer, moment_of
from tests.reliability.ranks import together
from tests.systems.test_every_system import SMALL, run_of
from tests.training.helpers import small_run, weights_of

CONSTANT = {"constant_share": 1.0, "checkpoint_every": 2, "ema": 0.9, "augment": {"resize": 36}}


def steps_taken(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Train a run here; gives the steps, from 0, that it took."""
    taken: list[int] = []
    take = Trainer.step

    def step(self, index, inputs):
        taken.append(index)
        take(self, index, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        fit(run, Group())
    return taken


def assert_same(one: Run, two: Run) -> None:
    """Both hold the same: the weights of the last checkpoint and of the best, and the curves."""
    for a, b in ((one.checkpoints.last(), two.checkpoints.last()), (one.checkpoints.best(), two.checkpoints.best())):
        assert (a.step, a.score) == (b.step, b.score)
        first, second = a.weights(), b.weights()
        assert first.keys() == second.keys()
        for key in first:
            assert torch.equal(first[key], second[key]), key
    for part in ("terms", "validation"):
        assert log.table(log.read(one.folder), part) == log.table(log.read(two.folder), part)


@pytest.mark.parametrize("schedule", [{}, {"schedule": "halved", "half_life": 3}])
def test_a_longer_run_goes_on_and_ends_as_one_that_never_stopped(tiny_shards, tmp_path, monkeypatch, schedule):
    settings = CONSTANT | schedule | {"norm": "batch", "dropout": 0.5}
    short, longer = (small_run(tiny_shards, tmp_path / "runs", steps=steps, **settings) for steps in (4, 8))
    whole = small_run(tiny_shards, tmp_path / "whole", steps=8, **settings)
    assert go_on(short) == ()
    fit(short, Group())
    before = weights_of(short)
    (said,) = go_on(longer)
    assert "step 4" in said
    assert short.key in said
    assert steps_taken(longer, monkeypatch) == [4, 5, 6, 7]
    fit(whole, Group())
    assert_same(whole, longer)
    assert sorted(path.name for path in (longer.folder / "samples").iterdir()) == [
        f"step_00000{step}.png" for step in (2, 4, 6, 8)
    ]
    assert all(torch.equal(value, before[key]) for key, value in weights_of(short).items())  # it is as it was
    assert go_on(longer) == ()  # and what has begun is not begun again


def test_it_goes_on_on_two_ranks_too(tiny_shards, tmp_path):
    settings = CONSTANT | {"norm": "batch", "num_workers": 2}
    short, longer = (small_run(tiny_shards, tmp_path / "runs", steps=steps, **settings) for steps in (2, 4))
    whole = small_run(tiny_shards, tmp_path / "whole", steps=4, **settings)
    go_on(short)
    together(2, tmp_path, fit_all, [short, whole])
    assert "step 2" in go_on(longer)[0]
    together(2, tmp_path, fit_all, [longer])
    assert_same(whole, longer)


def fit_all(group: Group, runs: list[Run]) -> None:
    """Train runs one after another; every rank calls this."""
    for run in runs:
        fit(run, group)


def test_the_end_of_the_shorter_run_is_not_the_best_of_the_longer(tiny_shards, tmp_path, monkeypatch):
    """An end between two validations is measured, and a run that goes on is not measured there."""
    short, longer = (small_run(tiny_shards, tmp_path, steps=steps, **CONSTANT) for steps in (3, 4))
    go_on(short)
    fit(short, Group())
    assert go_on(longer)
    assert {checkpoint.step: checkpoint.score is None for checkpoint in longer.checkpoints.all()} == {2: False, 3: True}
    assert steps_taken(longer, monkeypatch) == [3]
    whole = small_run(tiny_shards, tmp_path / "whole", steps=4, **CONSTANT)
    fit(whole, Group())
    assert all(torch.equal(value, weights_of(longer)[key]) for key, value in weights_of(whole).items())
    assert whole.checkpoints.best().step == longer.checkpoints.best().step


def test_a_run_that_was_cut_short_is_gone_on_with_in_its_constant_part_alone(tiny_shards, tmp_path, monkeypatch):
    cut, longer = (small_run(tiny_shards, tmp_path, steps=steps, checkpoint_every=2) for steps in (4, 6))
    go_on(cut)
    fit(cut, Group(), until=2)  # the rate of 4 steps falls from here on
    assert "step 2" in go_on(longer)[0]
    assert steps_taken(longer, monkeypatch) == [2, 3, 4, 5]
    whole = small_run(tiny_shards, tmp_path / "whole", steps=6, checkpoint_every=2)
    fit(whole, Group())
    assert_same(whole, longer)


STAGES = SMALL["srgan"] | {"resnet_share": 0.5}


@pytest.mark.parametrize(
    ("make", "why"),
    [(small_run, "train.constant_share"), (partial(run_of, "srgan", system=STAGES, constant_share=1.0), "srgan")],
)
def test_why_a_run_begins_anew_is_said_with_what_to_do(tiny_shards, tmp_path, make, why):
    short, longer = (make(shards=tiny_shards, root=tmp_path, steps=steps) for steps in (4, 8))
    go_on(short)
    fit(short, Group())
    (said,) = go_on(longer)
    assert why in said
    assert f"run:{short.key}" in said
    assert "\n" not in said
    assert len(said) <= 300
    assert longer.checkpoints.all() == []


def test_neither_a_run_of_other_params_nor_a_longer_one_is_gone_on_with(tiny_shards, tmp_path):
    done = small_run(tiny_shards, tmp_path, steps=4, **CONSTANT)
    go_on(done)
    fit(done, Group())
    for other in ({"seed": 1}, {"batch_size": 2}, {"ema": 0.5}, {"steps": 3}):
        run = small_run(tiny_shards, tmp_path, **({"steps": 8} | CONSTANT | other))
        assert go_on(run) == ()
        assert run.checkpoints.all() == []


def test_a_damaged_run_is_not_gone_on_with(tiny_shards, tmp_path):
    short, longer = (small_run(tiny_shards, tmp_path, steps=steps, **CONSTANT) for steps in (4, 8))
    go_on(short)
    fit(short, Group())
    for checkpoint in short.checkpoints.all():
        (checkpoint.folder / STATE).write_bytes(b"damaged")
    assert go_on(longer) == ()


@pytest.mark.parametrize(
    ("settings", "until", "same"),
    [
        ({"constant_share": 1}, 60, True),
        ({"constant_share": 0.5}, 30, True),
        ({"constant_share": 0.5}, 31, True),  # the first rate that falls is that of the step after
        ({"constant_share": 0.5}, 32, False),
        ({"constant_share": 0}, 2, False),
        ({"schedule": "halved", "half_life": 7}, 60, True),
        ({"schedule": "exponential", "half_life": 7}, 60, True),
    ],
)
def test_rates_are_compared_step_by_step(settings, until, same):
    config = TrainConfig(steps=60, **settings)
    assert same_rates(config, until, 60, 100) == same
    assert same_rates(config, until, 60, 60)


class Watched(Moment):
    """A moment that knows whether anybody has asked for the length of the run."""

    asked = False

    def __getattribute__(self, name):
        if name == "steps":
            Watched.asked = True
        return super().__getattribute__(name)


VARIED = [("srgan", STAGES), ("srgan", SMALL["srgan"] | {"resnet_share": 1})]


@pytest.mark.parametrize(("name", "system"), [*SMALL.items(), *VARIED])
def test_a_system_that_asks_for_the_length_of_the_run_says_so(tiny_shards, tmp_path, monkeypatch, name, system):
    monkeypatch.setattr(Watched, "asked", False)

    def watched(system, config, step, steps):
        made = moment_of(system, config, step, steps)
        moment = Watched(made.step, made.steps, made.images, made.stage)
        system.course.stage(moment)
        system.course.rate(moment)
        return moment

    monkeypatch.setattr("components.training.trainer.moment_of", watched)
    run = run_of(name, tiny_shards, tmp_path, system)
    fit(run, Group())
    assert run.system.paced == Watched.asked
