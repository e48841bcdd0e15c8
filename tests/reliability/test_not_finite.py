"""What is not finite stops the run: at one step on every rank, its samples named, the good checkpoints kept."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from components.faults import Fault
from components.samples.domain import Domain, sized
from components.shards.writer import write_set
from components.systems.system import Batch
from components.training import loop
from components.training.batches import training_stream
from components.training.feed import Feed
from components.training.group import Group
from components.training.run import Run
from components.training.terms import NotFinite, TermLog, row_of
from tests.conftest import TO_PHOTO
from tests.training.helpers import small_run, weights_of

PROMISE = "9 NaN or inf in a sample, a gradient or a weight; a flat image: one decision at one step, samples named"
STEPS, EVERY, LOGGED = 12, 4, 3
Poison = Callable[[Batch], None]


def nan_in_a_sample(batch: Batch) -> None:
    batch["source"][-1, 0, 5, 7] = torch.nan


def inf_in_a_sample(batch: Batch) -> None:
    batch["target"][0, 1, 0, 0] = -torch.inf


POISONS = {"NaN in a sample": nan_in_a_sample, "inf in a sample": inf_in_a_sample}


def poisoned(run: Run, group: Group, at: int, poison: Poison) -> None:
    """Train with the batch of step `at` (from 0) spoilt, on this rank alone."""
    whole, seen = Feed.prepare, iter(range(10**6))

    def spoilt(feed: Feed, inputs: Mapping[str, Tensor]) -> Batch:
        batch = whole(feed, inputs)
        if next(seen) == at:
            poison(batch)
        return batch

    Feed.prepare = spoilt
    try:
        loop.fit(run, group)
    finally:
        Feed.prepare = whole


def finite(run: Run) -> bool:
    """Whether every checkpoint that was kept is."""
    return all(
        bool(torch.isfinite(value).all())
        for checkpoint in run.checkpoints.all()
        for value in checkpoint.weights().values()
        if value.is_floating_point()
    )


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize("at", [0, 5, 6, 11])
@pytest.mark.parametrize("poison", POISONS)
def test_one_process_names_the_step_and_its_samples(tiny_shards, tmp_path, tally, poison, at):
    run = small_run(tiny_shards, tmp_path, steps=STEPS, checkpoint_every=EVERY, log_every=LOGGED)
    with pytest.raises(Fault) as caught:
        poisoned(run, Group(), at, POISONS[poison])
    said, names = str(caught.value), training_stream(run, Group()).names(at)
    tally.count(said.startswith(f"step {at + 1}: ") and ", ".join(names) in said, f"{poison} at {at}: {said}")
    last = run.checkpoints.last()
    tally.count(finite(run) and (last.step if last else 0) == at // EVERY * EVERY, f"{poison} at {at}: {last}")


def test_a_run_goes_on_from_before_what_was_not_finite(tiny_shards, tmp_path):
    settings = {"steps": STEPS, "checkpoint_every": EVERY, "log_every": LOGGED}
    whole, broken = (small_run(tiny_shards, tmp_path / name, **settings) for name in ("whole", "broken"))
    with pytest.raises(Fault, match="is not finite"):
        poisoned(broken, Group(), 6, nan_in_a_sample)
    for run in (whole, broken):
        loop.fit(run, Group())
    for name, value in weights_of(whole).items():
        assert torch.equal(value, weights_of(broken)[name]), name


def rank_main(rank: int, port: int, run: Run, at: int, sick: int, out: Path) -> None:
    """One of two ranks, of which one is given a spoilt batch; leaves what it said."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    try:
        poisoned(run, Group(rank, 2), at if rank == sick else -1, nan_in_a_sample)
    except Fault as fault:
        (out / f"{rank}.txt").write_text(str(fault))
    dist.destroy_process_group()


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize("sick", [0, 1])
def test_both_ranks_say_the_same_of_one_that_is_sick(tiny_shards, tmp_path, tally, sick):
    run = small_run(tiny_shards, tmp_path / "runs", steps=STEPS, checkpoint_every=EVERY, log_every=LOGGED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(rank_main, (port, run, 7, sick, tmp_path), nprocs=2)
    said = [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)]
    names = ", ".join(training_stream(run, Group(sick, 2)).names(7))
    tally.count(said[0] == said[1], f"{said}")
    tally.count(f"step 8: discriminator.fake is not finite on rank {sick}; its samples: {names};" in said[0], said[0])
    tally.count(finite(run) and run.checkpoints.last().step == 4, "checkpoint")


def test_a_gradient_that_is_not_finite_is_told_before_the_weights_are():
    terms = TermLog(Group())
    for step in range(4):
        gradient = torch.full((3, 3), torch.inf if step == 2 else 1.0)
        terms.add(step, "generator", ("l1",), row_of({"l1": torch.tensor(1.0 + step)}, [gradient, torch.zeros(2)]))
    means, fault = terms.read()
    assert means == {"generator.l1": 2.5}
    assert fault == NotFinite(2, "generator.gradient", (0,))
    assert terms.read() == ({}, None)


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_flat_pictures_train(tmp_path, tally, norm):
    domains = {"labels": Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)))}
    domains["photo"] = Domain(kind="image")
    flat = {"labels": np.zeros((32, 32), np.uint8), "photo": np.full((32, 32, 3), 77, np.uint8)}
    splits = {split: [(f"{split}{i}", flat) for i in range(8)] for split in ("train", "val", "test")}
    write_set(tmp_path / "shards", "flat", sized(domains, (32, 32)), TO_PHOTO, splits)
    run = small_run(tmp_path / "shards", tmp_path / "runs", norm=norm, steps=8, checkpoint_every=8)
    loop.fit(run, Group())
    tally.count(finite(run) and run.checkpoints.last().step == 8, norm)
