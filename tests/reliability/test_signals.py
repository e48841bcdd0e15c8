"""SIGTERM and Ctrl-C: a checkpoint of the step, a clear last line, the right status, and nothing torn."""

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from components.cluster.workers import Workers
from components.stage import exit_with_one_line
from components.training import checkpoint, log, loop
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.stop import Stopped
from components.training.trainer import Trainer
from components.training.validation import Validation
from tests.reliability.stopped import ONCE, SAID, STATUS, TWICE, in_a_process, intact
from tests.training.helpers import small_run, weights_of

SETTINGS = {"steps": 12, "checkpoint_every": 4, "log_every": 3, "norm": "batch", "dropout": 0.5, "ema": 0.9}
Signals = tuple[signal.Signals, ...]


@pytest.fixture(autouse=True)
def _ctrl_c_is_not_ignored() -> Iterator[None]:
    """As it would be where the tests are run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
    with pytest.raises(SystemExit) as ended, exit_with_one_line("train"):
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

    with pytest.raises(SystemExit) as ended, exit_with_one_line("shard"):
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


@pytest.mark.promise(ONCE)
@pytest.mark.parametrize("signum", [signal.SIGTERM])
def test_a_real_process(tiny_shards, tmp_path, tally, signum):
    run, status, said = in_a_process(tiny_shards, tmp_path / "it", lambda process, _: process.send_signal(signum))
    last = run.checkpoints.last()
    tally.count(status == STATUS[signum] and last is not None, f"{status}: {said}")
    end = f"train: stopped by {SAID[signum]} after step {last.step}, which is saved; `dvc repro` goes on from here"
    tally.count(said.splitlines()[-1] == end, said)
