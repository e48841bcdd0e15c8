"""A training in a process of its own, to be stopped by signals: `python -m tests.reliability.stopped JSON`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.cluster.workers import Workers
from components.stage import exit_with_one_line
from components.training import log
from components.training.loop import fit
from components.training.progress import Progress
from components.training.run import Run
from tests.training.helpers import small_run

ONCE = "20 SIGTERM or Ctrl-C once: the step is saved and said, status 143 or 130, the run goes on bitwise"
TWICE = "20 SIGTERM or Ctrl-C twice: ends at once, status 143 or 130, nothing torn, the run goes on bitwise"
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
SAID = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
ROOT = Path(__file__).parent.parent.parent


def start(shards: Path, folder: Path, **train: Any) -> "subprocess.Popen[str]":
    """Start `main` of a small run in a folder; it takes no signals of the tests' own terminal."""
    what = json.dumps({"shards": str(shards), "folder": str(folder), "train": train})
    command = [sys.executable, "-W", "ignore", "-m", "tests.reliability.stopped", what]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("RAY_ADDRESS", None)
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def at_work(run: Run, step: int, process: "subprocess.Popen[str]", deadline_s: float = 600) -> None:
    """Wait until a process has logged a step."""
    ends = time.monotonic() + deadline_s
    while not any(record["step"] >= step for record in log.read(run.folder)):
        assert time.monotonic() < ends, "no step was taken"
        assert process.poll() is None, process.communicate()
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
        _, said = process.communicate(timeout=600)
    finally:
        process.kill()
    return run, process.returncode, said


def intact(run: Run) -> bool:
    """Whether every checkpoint that is there is whole."""
    return all(found.is_whole() for found in run.checkpoints.all())


def main(what: dict[str, Any]) -> None:
    """Train as the train stage does."""
    run = small_run(Path(what["shards"]), Path(what["folder"]) / "runs", **what["train"])
    with exit_with_one_line("train"), Progress(run, "train"):
        Workers.of(run).run(fit, run)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
