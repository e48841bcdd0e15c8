"""A run that was killed ends bitwise where an uninterrupted one does."""

import json

import pytest
import torch

from components.faults import Fault
from components.training import log
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.trainer import Trainer
from tests.training.helpers import small_run, weights_of


class Killed(BaseException):
    """Stands for a signal: no handler of errors catches it."""


def fit_killed_at(run: Run, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until just before `step` ends."""
    take = Trainer.step

    def step_or_die(self, index, batch):
        if index == step:
            raise Killed
        take(self, index, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", step_or_die)
        with pytest.raises(Killed):
            fit(run, Group())


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_resumed_is_bitwise_the_uninterrupted(tiny_shards, tmp_path, monkeypatch, norm):
    settings = {"norm": norm, "dropout": 0.5, "ema": 0.9, "augment": {"resize": 36}}
    whole, killed = (small_run(tiny_shards, tmp_path / name, **settings) for name in ("whole", "killed"))
    fit(whole, Group())
    fit_killed_at(killed, 5, monkeypatch)  # the checkpoint of step 3 is there, steps 4 and 5 are lost
    assert killed.checkpoints.last().step == 3
    fit(killed, Group())
    a, b = weights_of(whole), weights_of(killed)
    assert a.keys() == b.keys()
    assert any(key.startswith("ema.generator") for key in a)
    for key in a:
        assert torch.equal(a[key], b[key]), key
    assert log.table(log.read(whole.folder), "terms") == log.table(log.read(killed.folder), "terms")
    assert log.table(log.read(whole.folder), "validation") == log.table(log.read(killed.folder), "validation")


@pytest.mark.parametrize("lost", ["optimizers", "ema"])
def test_the_check_above_sees_lost_state(tiny_shards, tmp_path, monkeypatch, lost):
    """Leave one part of the state out of the resume and the weights differ: the test can fail."""
    whole, killed = (small_run(tiny_shards, tmp_path / name, ema=0.9) for name in ("whole", "killed"))
    fit(whole, Group())
    fit_killed_at(killed, 5, monkeypatch)
    if lost == "optimizers":
        monkeypatch.setattr(torch.optim.Adam, "load_state_dict", lambda self, state: None)
    else:
        monkeypatch.setattr("components.training.ema.EMA.load", lambda self, averages: None)
    fit(killed, Group())
    a, b = weights_of(whole), weights_of(killed)
    assert any(not torch.equal(a[key], b[key]) for key in a)


def test_a_finished_run_takes_no_step(tiny_shards, tmp_path, monkeypatch):
    run = small_run(tiny_shards, tmp_path)
    fit(run, Group())
    before = (run.folder / log.LOG).read_text()
    monkeypatch.setattr(Trainer, "step", lambda *_: pytest.fail("took a step"))
    fit(run, Group())
    assert (run.folder / log.LOG).read_text() == before


def test_a_damaged_checkpoint_is_passed_over(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path)
    fit(run, Group())
    last = run.checkpoints.last()
    data = bytearray((last.folder / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (last.folder / "weights.safetensors").write_bytes(data)
    assert run.checkpoints.last().step == 3


def test_best_and_last_two_are_kept(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path, steps=10, checkpoint_every=1)
    fit(run, Group())
    kept = {int(folder.name[5:]) for folder in (run.folder / "checkpoints").glob("step_*")}
    scores = {r["step"]: r["validation"]["l1"] for r in log.read(run.folder) if "validation" in r}
    best = min(scores, key=scores.get)
    assert run.checkpoints.best().step == best
    assert kept == {9, 10, best}


def test_a_loss_that_is_not_finite_stops_the_run_by_name(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path, learning_rate=1e30, steps=30)
    with pytest.raises(
        Fault, match=r"step \d+: .* is not finite; its samples: tiny_train_.*; lower train.learning_rate"
    ):
        fit(run, Group())
    for folder in (run.folder / "checkpoints").glob("step_*"):
        meta = json.loads((folder / "checkpoint.json").read_text())
        assert meta["step"] < 30


def test_another_seed_or_param_is_another_run(tiny_shards, tmp_path):
    keys = {small_run(tiny_shards, tmp_path, **train).key for train in ({}, {"seed": 1}, {"ema": 0.5})}
    assert len(keys) == 3
    assert small_run(tiny_shards, tmp_path, num_workers=2).key == small_run(tiny_shards, tmp_path).key
