"""Kills and a full disk during the writing of a checkpoint: one that loads is always there."""

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from components.training.checkpoint import CheckpointStore
from tests.reliability.ranks import forkserver

KILLS = "8 kill -9 while checkpoints are written: one that loads, at most one interval old, nothing stale"
FULL = "8 disk full while checkpoints are written: said, and the one before loads"
SIZE = 200_000  # numbers a checkpoint, so that writing one takes longer than starting it
ROOT = Path(__file__).parents[2]


def contents(step: int) -> dict[str, torch.Tensor]:
    """Weights that tell the step they are of."""
    return {"weight": torch.full((SIZE,), float(step))}


def keep_saving(folder: Path, first: int, told: Connection) -> None:
    """Save checkpoint after checkpoint, and say of each when it is done; goes on until it is killed."""
    store = CheckpointStore(folder)
    store.drop_after(first - 1)
    for step in range(first, 10**6):
        store.save(step, contents(step), {"step": step}, score=1 / step)
        told.send(step)


@pytest.mark.promise(KILLS)
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path, tally, kills):
    context = forkserver()
    store, chance = CheckpointStore(tmp_path), random.Random(0)
    step = 0
    for _ in range(kills):
        here, there = context.Pipe()
        child = context.Process(target=keep_saving, args=(tmp_path, step + 1, there))
        child.start()
        there.close()
        assert here.poll(60), "no checkpoint was ever written"
        time.sleep(chance.random() * 0.05)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        done = 0
        try:
            while True:
                done = here.recv()
        except EOFError:
            here.close()
        last = store.last()
        # What was said to be done is there; one more may be, if the kill came between its rename and its word.
        held = last is not None and last.step in (done, done + 1)
        held = held and torch.equal(last.weights()["weight"], contents(last.step)["weight"])
        held = held and last.state() == {"step": last.step} and store.best().step == last.step  # scores fall
        tally.count(held, f"after step {done}: {last}")
        step = last.step if last else done
        store.drop_after(step)
        kept = {f"step_{known.step:08d}" for known in store.all()}
        stale = {path.name for path in tmp_path.iterdir()} - kept
        tally.count(not stale, f"after step {step}: {stale} is left")


@pytest.mark.promise(KILLS)
def test_a_kill_as_soon_as_a_checkpoint_is_in_its_place_does_not_hide_that_it_is_the_best(tmp_path, tally, monkeypatch):
    class Killed(BaseException):
        pass

    def die(store: CheckpointStore) -> None:
        raise Killed

    store, scores = CheckpointStore(tmp_path), {1: 0.5, 2: 0.1, 3: 0.3}
    for step, score in scores.items():
        with monkeypatch.context() as patch, suppress(Killed):
            if step == 2:
                patch.setattr(CheckpointStore, "best", die)  # what is looked at first when it is in its place
            store.save(step, contents(step), {}, score)
        best = min(range(1, step + 1), key=scores.get)
        tally.count(store.best().step == best, f"after step {step}: {store.best()}")


def may_mount() -> bool:
    """Whether this process may make a small disk of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="needs a mount namespace (Linux)")
@pytest.mark.promise(FULL)
@pytest.mark.parametrize("room", [1000, 1700, 2300])
def test_a_full_disk_is_said_and_the_checkpoint_before_loads(tmp_path, tally, room):
    code = """
        import torch
        from pathlib import Path
        from components.faults import Fault
        from components.training.checkpoint import CheckpointStore
        from tests.reliability.test_checkpoint_writes import contents

        store = CheckpointStore(Path.cwd())
        for step in range(1, 10):
            try:
                store.save(step, contents(step), {"step": step}, score=None)
            except Fault as fault:
                last = store.last()
                print(fault, "|", last.step, step, torch.equal(last.weights()["weight"], contents(last.step)["weight"]))
                break
    """
    command = f'mount -t tmpfs -o size={room}k tmpfs "{tmp_path}" && cd "{tmp_path}" && exec "$@"'
    python = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command, "sh", *python],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said, _, state = done.stdout.strip().partition(" | ")
    tally.count("no space left on this disk" in said and "step_" in said, f"{room}: {done.stdout}{done.stderr[-500:]}")
    last, at, equal = [*state.split(), "", "", ""][:3]
    tally.count(bool(state) and int(last) == int(at) - 1 and equal == "True", f"{room}: {state}")
