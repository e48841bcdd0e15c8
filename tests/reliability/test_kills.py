"""A trainer that is killed (SIGKILL) again and again ends bitwise where one ends that never was."""

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from components.training import log
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.trainer import Trainer
from tests.reliability import ranks
from tests.reliability.state import WAYS, contents, differences, run_as

PROMISE = "7 kill -9 of the trainer at any step, resumed: bitwise the uninterrupted run"
STEPS, EVERY = 12, 2
SETTINGS = {"steps": STEPS, "checkpoint_every": EVERY, "log_every": 1, "keep_checkpoints": 2}
IN_STEPS_S = 0.06  # a few steps, or a step with the validation and the checkpoint behind it
FEW = ("pix2pix, BatchNorm a rank and dropout", 2, 2)
KILLS = {"pix2pix": 20, "cyclegan": 20}  # of the others, as many as find what is theirs alone
MANY = [(way, world, KILLS.get(way, 4)) for way in WAYS for world in (1, 2)]
# From three ranks on, the place of a gradient decides the order in which the ranks' parts are added.
MANY += [("pix2pix", 4, 4), ("cyclegan", 4, 4)]


def train(group: Group, run: Run, told: Connection | None = None) -> None:
    """Train, and say of each step when it begins."""
    take = Trainer.step

    def step(trainer: Trainer, index: int, batch: dict) -> None:
        if told is not None and group.leads:
            told.send(index)
        take(trainer, index, batch)

    Trainer.step = step
    fit(run, group)


def killed(run: Run, world: int, at: int, chance: random.Random, folder: Path) -> list[int | None]:
    """Train on so many ranks and kill them all in or soon after the step `at`; gives their exit codes."""
    here, there = multiprocessing.Pipe(duplex=False)
    alive = ranks.start(world, folder, train, run, there)
    there.close()
    try:
        while here.poll(ranks.SECONDS) and here.recv() < at:
            pass
        time.sleep(chance.random() * IN_STEPS_S)  # the moment of the kill; nothing is waited for
    except EOFError:
        pass  # ended before, which their exit codes say
    finally:
        codes = ranks.kill(alive, chance)
        here.close()
    return codes


def step_of(run: Run) -> int:
    """Where a resume would begin."""
    last = run.checkpoints.last()
    return last.step if last else 0


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize(
    ("way", "world", "kills"), [FEW, *(pytest.param(*case, marks=pytest.mark.slow) for case in MANY)]
)
def test_killed_and_resumed_is_bitwise_the_uninterrupted(tiny_sizes, tmp_path, tally, way, world, kills):
    whole = run_as(way, tiny_sizes, tmp_path / "whole", **SETTINGS | {"keep_checkpoints": STEPS})
    ranks.together(world, tmp_path, train, whole)
    reference = {checkpoint.step: contents(checkpoint) for checkpoint in whole.checkpoints.all()}
    assert sorted(reference) == list(range(EVERY, STEPS + 1, EVERY))
    chance, done = random.Random(f"{way} {world}"), 0
    while done < kills:
        run = run_as(way, tiny_sizes, tmp_path / f"killed_{done}", **SETTINGS)
        while done < kills and (begin := step_of(run)) < STEPS:
            at = min(begin + chance.randrange(2 * EVERY), STEPS - 1)
            codes = killed(run, world, at, chance, tmp_path)
            what, last = f"{way} on {world}, kill {done} in step {at}", run.checkpoints.last()
            assert -9 in codes or codes == [0] * world, f"{what}: {codes}"  # it did not fail by itself
            done += -9 in codes
            held = last is None or not differences(contents(last), reference[last.step])
            tally.count(held and step_of(run) >= at // EVERY * EVERY, f"{what}: {last}")
        ranks.together(world, tmp_path, train, run)
        tally.count(not differences(contents(run.checkpoints.last()), reference[STEPS]), f"{way} on {world}: the end")
        assert run.checkpoints.best().step == whole.checkpoints.best().step
        for part in ("terms", "validation"):
            assert log.table(log.read(run.folder), part) == log.table(log.read(whole.folder), part)
