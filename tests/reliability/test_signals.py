"""SIGTERM and Ctrl-C: a checkpoint of the step, a clear last line, the right status, and nothing torn."""

import itertools
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from components.cluster.workers import Workers
from components.files import read_json
from components.stage import ends_well
from components.training import checkpoint, log, loop
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.stop import Stop, Stopped
from components.training.trainer import Trainer
from components.training.validation import Validation
from tests.cluster.test_workers import RAY_WARNINGS
from tests.reliability.stopped import start
from tests.training.helpers import small_run, weights_of

ONCE = "20 SIGTERM or Ctrl-C once: the step is saved and said, status 143 or 130, the run goes on bitwise"
TWICE = "20 SIGTERM or Ctrl-C twice: ends at once, status 143 or 130, nothing torn, the run goes on bitwise"
SETTINGS = {"steps": 12, "checkpoint_every": 4, "log_every": 3, "norm": "batch", "dropout": 0.5, "ema": 0.9}
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
SAID = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
Signals = tuple[signal.Signals, ...]


def raised(owner: object, name: str, at: int, signums: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the process sent signals as the call number `at` (from 0) of a function begins."""
    function, calls = getattr(owner, name), iter(range(10**6))

    def signalled(*arguments: object, **named: object) -> object:
        if next(calls) == at:
            for signum in signums:
                signal.raise_signal(signum)
        return function(*arguments, **named)

    monkeypatch.setattr(owner, name, signalled)


def stopped(run: Run) -> int:
    """Train as a stage does; gives the status it ends with."""
    with pytest.raises(SystemExit) as ended, ends_well("train"):
        Workers.of(run).run(fit, run)
    return int(str(ended.value.code))


@pytest.fixture(scope="module")
def whole(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nobody stops."""
    run = small_run(tiny_shards, tmp_path_factory.mktemp("whole"), **SETTINGS)
    fit(run, Group())
    return run


def same(a: Run, b: Run) -> bool:
    """Whether two finished runs have the same weights and the same curves, bit for bit."""
    x, y = weights_of(a), weights_of(b)
    tables = [[log.table(log.read(run.folder), part) for part in ("terms", "validation")] for run in (a, b)]
    return x.keys() == y.keys() and all(torch.equal(x[key], y[key]) for key in x) and tables[0] == tables[1]


def intact(run: Run) -> bool:
    """Whether every checkpoint that is there is whole."""
    return all(found.is_whole() for found in run.checkpoints.all())


# Where it comes: the owner and the name of a function, which of its calls, and the step that is then saved.
MOMENTS: dict[str, tuple[object, str, int, int]] = {
    "as the networks are built": (loop, "build", 0, 1),
    "as a checkpoint is looked for": (loop, "restore", 0, 1),
    "in the first step": (Trainer, "step", 0, 1),
    "in a step": (Trainer, "step", 4, 5),
    "in a step that is logged": (Trainer, "step", 5, 6),
    "in a step that is saved anyway": (Trainer, "step", 7, 8),
    "in a validation": (Validation, "measure", 0, 4),
    "as pictures are drawn": (Validation, "draw", 1, 8),
    "as a checkpoint is written": (checkpoint, "write_tensors", 0, 4),
    "in the last step": (Trainer, "step", 11, 12),
}


@pytest.mark.promise(ONCE)
@pytest.mark.parametrize(("moment", "signum"), [*zip(MOMENTS, itertools.cycle(STATUS), strict=False)])
def test_one_signal_saves_the_step(tiny_shards, tmp_path, tally, whole, monkeypatch, capfd, moment, signum):
    owner, name, call, step = MOMENTS[moment]
    run = small_run(tiny_shards, tmp_path, **SETTINGS)
    with monkeypatch.context() as patch:
        raised(owner, name, call, (signum,), patch)
        tally.count(stopped(run) == STATUS[signum], f"{moment}: status")
    asked, last = [line for line in capfd.readouterr().err.splitlines() if SAID[signum] in line]
    tally.count("saves after this step, and ends; once more ends it at once" in asked, f"{moment}: {asked}")
    wanted = f"train: stopped by {SAID[signum]} after step {step}, which is saved; `dvc repro` goes on from here"
    tally.count(last == wanted, f"{moment}: {last}")
    kept = run.checkpoints.last()
    tally.count(kept is not None and kept.step == step and intact(run), f"{moment}: {kept}")
    fit(run, Group())
    tally.count(same(run, whole), f"{moment}: the run that went on differs")


@pytest.mark.promise(TWICE)
@pytest.mark.parametrize(("moment", "first"), [*zip(MOMENTS, itertools.cycle(STATUS), strict=False)])
def test_a_second_signal_ends_it_at_once(tiny_shards, tmp_path, tally, whole, monkeypatch, capfd, moment, first):
    owner, name, call, _ = MOMENTS[moment]
    signums = (first, signal.SIGINT)
    run = small_run(tiny_shards, tmp_path, **SETTINGS)
    steps: list[int] = []
    with monkeypatch.context() as patch:
        raised(owner, name, call, signums, patch)
        take = Trainer.step
        patch.setattr(Trainer, "step", lambda self, index, batch: (take(self, index, batch), steps.append(index)))
        tally.count(stopped(run) == STATUS[signums[-1]], f"{moment}: status")
    said = capfd.readouterr().err.splitlines()
    tally.count(said[-1] == "train: stopped by Ctrl-C; `dvc repro` goes on from here", f"{moment}: {said}")
    tally.count(intact(run), f"{moment}: torn")
    fit(run, Group())
    tally.count(same(run, whole), f"{moment}: the run that went on differs")


def test_sigterm_outside_of_a_training_ends_a_stage_with_143(capfd, tmp_path):
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            (tmp_path / "cleaned").touch()

    with pytest.raises(SystemExit) as ended, ends_well("shard"):
        work()
    assert ended.value.code == 143
    assert capfd.readouterr().err == "shard: stopped by SIGTERM; `dvc repro` goes on from here\n"
    assert (tmp_path / "cleaned").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_workers_that_save_nothing_end_at_the_first_signal(tmp_path):
    with pytest.raises(Stopped) as caught:
        Workers(0, "cpu", tmp_path).run(lambda *_: signal.raise_signal(signal.SIGTERM), None)
    assert caught.value.status == 143
    assert caught.value.step is None


def test_an_ignored_signal_stays_ignored(tmp_path, monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Workers(0, "cpu", tmp_path).run(lambda *_: signal.raise_signal(signal.SIGINT), None)
    finally:
        signal.signal(signal.SIGINT, before)


def ranks_held_at_a_moment(seed: int, count: int = 3) -> list[int]:
    """The steps that ranks have taken which walk in step, as collectives make them, and are stopped from outside."""
    stops, walls = [Stop() for _ in range(count)], threading.Barrier(count)
    taken, begun = [0] * count, threading.Event()

    def walk(rank: int) -> None:
        for step in range(10**6):
            stops[rank].begin(step)
            if step == seed % 7:
                begun.set()
            if (seed + rank + step) % 5 == 0:
                time.sleep(1e-4)
            walls.wait(timeout=30)
            taken[rank] = step + 1
            if stops[rank].due(step + 1):
                return

    ranks = [threading.Thread(target=walk, args=(rank,), daemon=True) for rank in range(count)]
    for rank in ranks:
        rank.start()
    begun.wait(30)
    furthest = max([stop.hold() for stop in stops])
    for stop in stops:
        stop.release(furthest)
    for rank in ranks:
        rank.join(30)
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


def at_work(run: Run, step: int, process: "object", deadline_s: float = 240) -> None:
    """Wait until a process has logged a step."""
    ends = time.monotonic() + deadline_s
    while not any(record["step"] >= step for record in log.read(run.folder)):
        assert time.monotonic() < ends, "no step was taken"
        assert process.poll() is None, process.communicate()  # type: ignore[attr-defined]
        time.sleep(0.05)


def in_a_process(shards: Path, folder: Path, send: Callable[..., None], **settings: object) -> tuple[Run, int, str]:
    """Train in a process; `send(process, run)` signals it once it is at work. Gives its status and what it said."""
    folder.mkdir()
    train = {"steps": 100_000, "checkpoint_every": 50_000, "log_every": 3} | settings
    run = small_run(shards, folder / "runs", **train)
    process = start(shards, folder, **train)
    try:
        at_work(run, 6, process)
        send(process, run)
        _, said = process.communicate(timeout=240)
    finally:
        process.kill()
    return run, process.returncode, said


@pytest.mark.promise(ONCE)
@pytest.mark.parametrize("signum", [signal.SIGTERM])
def test_a_real_process(tiny_shards, tmp_path, tally, signum):
    run, status, said = in_a_process(tiny_shards, tmp_path / "it", lambda process, _: process.send_signal(signum))
    last = run.checkpoints.last()
    tally.count(status == STATUS[signum] and last is not None, f"{status}: {said}")
    end = f"train: stopped by {SAID[signum]} after step {last.step}, which is saved; `dvc repro` goes on from here"
    tally.count(said.splitlines()[-1] == end, said)


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
        pids.extend(rank["pid"] for rank in read_json(run.folder / "ranks.json")["ranks"])
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
