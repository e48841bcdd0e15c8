"""Stopped at any point and resumed, on as many ranks or others: no sample is lost, none comes twice."""

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.writer import write_set
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.trainer import Trainer
from tests.reliability import ranks
from tests.reliability.test_uneven_shards import BATCH, EPOCHS, SIZES, read, written
from tests.systems.test_every_system import run_of

PROMISE = pytest.mark.promise("6 stopped anywhere, resumed on 1, 2 or 3 ranks: no sample lost, none repeated")
STOPS, CASES = 20, 4
SAMPLES, OTHERS = 22, 13  # of the two sides; as pairs, SAMPLES of each
DOMAINS = ("day", "night")


@PROMISE
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_stream_goes_on_where_it_stopped_on_any_number_of_ranks(tmp_path, tally, sizes):
    root, n, chance = written(tmp_path / "set", sizes), sum(sizes), random.Random(str(sizes))
    steps = -(-EPOCHS * n // BATCH)
    for case in range(CASES):  # of some three stops each
        seen: list[list[int]] = []
        lives = []
        while len(seen) < steps:
            world, until = chance.choice((1, 2, 3)), chance.randint(len(seen) + 1, steps)
            mine = [read(root, rank, world, 2, 2, first=len(seen)) for rank in range(world)]
            lives.append((world, until))
            seen = [*seen, *([*chain(*parts)] for parts in zip(*mine, strict=True))][:until]
        order = [value for batch in seen for value in batch][: EPOCHS * n]
        epochs = [sorted(order[epoch * n : (epoch + 1) * n]) for epoch in range(EPOCHS)]
        tally.count(epochs == [list(range(n))] * EPOCHS, f"{sizes}, case {case}: (ranks, until) {lives}")


def flat(number: int) -> np.ndarray:
    """A picture of one colour, which is its number, so that no jitter hides it."""
    return np.full((32, 32, 3), number, np.uint8)


def write_numbered(root: Path, paired: bool) -> Path:
    """Two domains of flat pictures: pairs of equal numbers, or sides of unequal length."""
    domains = {name: Domain(kind="image") for name in DOMAINS}
    splits = {}
    for split in ("train", "val", "test"):
        if paired:
            splits[split] = [(f"{split}{i:02d}", {name: flat(i) for name in DOMAINS}) for i in range(SAMPLES)]
        else:
            for name, count in zip(DOMAINS, (SAMPLES, OTHERS), strict=True):
                splits[f"{split}/{name}"] = [(f"{split}_{name}{i:02d}", {name: flat(i)}) for i in range(count)]
    write_set(
        root, "numbered", sized(domains, (32, 32)), Task(source="day", target="night"), splits, samples_per_shard=5
    )
    return root


def numbers(inputs: Mapping[str, Tensor], side: str) -> list[int]:
    """The samples that a step is brought, by their colour."""
    return inputs[side][:, 5, 7, 0].tolist()


def train(group: Group, run: Run, stop: int, until: int, seen: Path) -> None:
    """Train until the end, or be killed when the step `stop` begins; notes the samples of each step before it."""
    take = Trainer.step

    def step(trainer: Trainer, index: int, inputs: Mapping[str, Tensor]) -> None:
        if index == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        with (seen / f"{group.rank}.jsonl").open("a") as file:
            file.write(json.dumps([index, numbers(inputs, "source"), numbers(inputs, "target")]) + "\n")
        take(trainer, index, inputs)

    Trainer.step = step
    fit(run, group, until)


def live(run: Run, world: int, stop: int, until: int, folder: Path) -> dict[int, tuple[list[int], list[int]]]:
    """One life of a run: the samples of each step that it took, source and target, over all ranks."""
    folder.mkdir()
    codes = ranks.end(ranks.start(world, folder, train, run, stop, until, folder))
    assert codes == [0] * world or -9 in codes, codes
    parts = [
        [json.loads(line) for line in file.read_text().splitlines()]
        for rank in range(world)
        if (file := folder / f"{rank}.jsonl").exists()
    ]
    taken = {}
    for whole in zip(*parts, strict=True):
        (index,) = {step for step, _, _ in whole}
        taken[index] = tuple([*chain(*(part[side] for part in whole))] for side in (1, 2))
    return taken


@PROMISE
@pytest.mark.parametrize(
    ("name", "stops"),
    [
        ("pix2pix", 4),
        pytest.param("pix2pix", STOPS, marks=pytest.mark.slow),
        pytest.param("cyclegan", STOPS, marks=pytest.mark.slow),
    ],
)
def test_a_training_sees_each_sample_once_an_epoch_whatever_its_lives(tmp_path, tally, name, stops):
    """Lives end by a kill, and the next goes back to the last checkpoint; or by a stop that saves."""
    chance, sides = random.Random(name), (SAMPLES, SAMPLES if name == "pix2pix" else OTHERS)
    shards = write_numbered(tmp_path / "shards", name == "pix2pix")
    steps = 4 * stops
    settings = {"steps": steps, "batch_size": 6, "checkpoint_every": 3}
    run = run_of(name, shards, tmp_path / "run", task=Task(source="day", target="night"), **settings)
    history: dict[int, tuple[list[int], list[int]]] = {}
    begin, world = 0, 2
    for number in range(stops + 1):
        last, how = number == stops, chance.choice(("kill", "stop"))
        end = steps if last else min(begin + chance.randint(1, 6), steps)
        kill = end if how == "kill" and not last else steps
        taken = live(run, world, kill, end if kill == steps else steps, tmp_path / f"life_{number}")
        what = f"{name}, life {number} on {world} ranks from {begin} to {end} ({how})"
        tally.count(list(taken) == list(range(begin, end)), f"{what}: steps {list(taken)}")
        again = {step for step in taken if step in history}
        tally.count(all(taken[step] == history[step] for step in again), f"{what}: other samples in a step retaken")
        history |= taken
        checkpoint = run.checkpoints.last()
        begin, world = checkpoint.step if checkpoint else 0, 3 - world if chance.random() < 0.8 else world
    tally.count(sorted(history) == list(range(steps)), f"{name}: steps {sorted(history)}")
    for side, n in enumerate(sides):
        order = [sample for step in range(steps) for sample in history[step][side]]
        epochs = [Counter(order[first : first + n]) for first in range(0, len(order) - n + 1, n)]
        for epoch, seen in enumerate(epochs):
            tally.count(seen == Counter(range(n)), f"{name}, {DOMAINS[side]}, epoch {epoch}: {seen}")
    if name == "pix2pix":
        assert all(source == target for source, target in history.values())
    else:
        assert any(source != target for source, target in history.values())
