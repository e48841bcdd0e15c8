"""Ranks that are told to stop end after one and the same step, with everything saved."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ray.exceptions import GetTimeoutError

from components.cluster import rank, watch
from components.cluster.journal import Journal
from components.cluster.workers import Workers
from components.storage.files import read_json
from components.training import log
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.stop import Stop
from tests.cluster.test_workers import RAY_WARNINGS
from tests.reliability.stopped import ONCE, SAID, STATUS, TWICE, in_a_process, intact
from tests.training.helpers import small_run, weights_of


def ranks_held_at_a_moment(seed: int, count: int = 3) -> list[int]:
    """The steps that ranks have taken which walk in step, as collectives make them, and are stopped from outside."""
    stops, walls = [Stop() for _ in range(count)], threading.Barrier(count)
    taken, begun = [0] * count, threading.Event()

    def walk(mine: int) -> None:
        for step in range(10**6):
            stops[mine].begin(step)
            if step == seed % 7:
                begun.set()
            if (seed + mine + step) % 5 == 0:
                time.sleep(1e-4)
            walls.wait(timeout=30)
            taken[mine] = step + 1
            if stops[mine].due(step + 1):
                return

    ranks = [threading.Thread(target=walk, args=(mine,), daemon=True) for mine in range(count)]
    for thread in ranks:
        thread.start()
    begun.wait(30)
    furthest = max([stop.hold() for stop in stops])
    for stop in stops:
        stop.release(furthest)
    for thread in ranks:
        thread.join(30)
    return taken


@pytest.mark.promise(ONCE)
def test_ranks_end_after_one_and_the_same_step(tally):
    for seed in range(200):
        taken = ranks_held_at_a_moment(seed)
        tally.count(len(set(taken)) == 1 and taken[0] > 0, f"seed {seed}: {taken}")


def test_a_rank_that_nobody_lets_go_goes_on(monkeypatch):
    monkeypatch.setattr("components.training.stop._HELD_S", 0.05)
    stop = Stop()
    stop.hold()
    stop.begin(0)
    assert stop.begun == 1
    assert not stop.due(1)


class Rank:
    """Stands for a worker of Ray Train: what is asked of it is asked of its own group, in the process of the test."""

    def __init__(self, group: Group | None, answers: bool = True) -> None:
        self.group, self.answers = group, answers

    def execute_async(self, function: Callable[..., object], *arguments: object) -> Callable[[], object]:
        def call() -> object:
            rank._group = self.group
            return function(*arguments)

        def silent() -> object:
            raise GetTimeoutError

        return call if self.answers else silent


def controller(ranks: list[Rank], folder: Path, monkeypatch: pytest.MonkeyPatch) -> watch.Watch:
    """A watch over them, told to stop them."""
    monkeypatch.setattr(watch.ray, "get", lambda asked, timeout: [call() for call in asked])
    monkeypatch.setattr(rank, "_group", None)
    journal = Journal(folder / "journal.jsonl")
    assert not journal.stop_asked
    journal.ask_to_stop()
    assert journal.stop_asked
    watching = watch.Watch(60, 60, 2, journal)
    watching._ranks = [watch._Watched(worker) for worker in ranks]
    return watching


def test_the_controller_ends_ranks_after_the_furthest_step(tmp_path, monkeypatch):
    groups = [Group(0, 2), Group(1, 2)]
    groups[0].alive(41)
    groups[1].alive(42)
    watching = controller([Rank(group) for group in groups], tmp_path, monkeypatch)
    watching._stop()
    assert watching._stopping
    assert [[group.stop.due(steps) for steps in (42, 43)] for group in groups] == [[False, True]] * 2


@pytest.mark.parametrize("late", ["no function yet", "no answer"])
def test_the_controller_asks_again_where_a_rank_was_not_ready(tmp_path, monkeypatch, late):
    group, other = Group(0, 2), Group(1, 2)
    group.alive(41)
    slow = Rank(None) if late == "no function yet" else Rank(other, answers=False)
    watching = controller([Rank(group), slow], tmp_path, monkeypatch)
    watching._stop()
    assert not watching._stopping
    group.alive(42)  # it is free again
    assert not group.stop.due(43)
    slow.group, slow.answers = other, True
    watching._stop()
    assert watching._stopping
    assert group.stop.due(43)
    assert other.stop.due(43)


@pytest.mark.slow
@RAY_WARNINGS
@pytest.mark.promise(ONCE)
@pytest.mark.parametrize("signum", STATUS)
def test_two_ranks_of_ray_save_one_step(tiny_shards, tmp_path, tally, signum):
    settings = {"num_workers": 2, "norm": "instance", "dropout": 0.5, "ema": 0.9}
    run, status, said = in_a_process(
        tiny_shards, tmp_path / "it", lambda process, _: process.send_signal(signum), **settings
    )
    last = run.checkpoints.last()
    tally.count(status == STATUS[signum] and last is not None and intact(run), f"{status}: {said}")
    end = f"train: stopped by {SAID[signum]} after step {last.step}, which is saved; `dvc repro` goes on from here"
    tally.count(said.splitlines()[-1] == end, said)
    steps = [record["step"] for record in log.read(run.folder)]
    tally.count(steps == list(range(3, last.step + 1, 3)) and "failure" not in said, said)
    # The same steps on two ranks, never stopped: the checkpoint is that of this step, on both ranks' account.
    other = small_run(tiny_shards, tmp_path / "other", **(settings | {"steps": 100_000, "checkpoint_every": 50_000}))
    Workers.of(other).run(_Until(last.step), other)
    a, b = weights_of(run), weights_of(other)
    tally.count(all(torch.equal(a[key], b[key]) for key in a), "the weights are not those of the step")


class _Until:
    """`fit` to a step; picklable, unlike a lambda."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, run: Run, group: Group) -> None:
        fit(run, group, self.step)


@pytest.mark.slow
@RAY_WARNINGS
@pytest.mark.promise(TWICE)
def test_two_signals_end_the_ranks_of_ray(tiny_shards, tmp_path, tally):
    pids: list[int] = []

    def twice(process: object, run: Run) -> None:
        pids.extend(place["pid"] for place in read_json(run.folder / "ranks.json")["ranks"])
        for _ in range(2):
            process.send_signal(signal.SIGINT)  # type: ignore[attr-defined]
            time.sleep(0.05)

    run, status, said = in_a_process(tiny_shards, tmp_path / "it", twice, num_workers=2)
    tally.count(status == 130, f"{status}: {said}")
    tally.count(said.splitlines()[-1].startswith("train: stopped by Ctrl-C"), said)
    tally.count(intact(run), "torn")
    ends = time.monotonic() + 60
    while (alive := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < ends:
        time.sleep(0.2)
    tally.count(not alive, f"ranks live on: {alive}")
