"""A training in a process of its own, to be stopped by signals: `python -m tests.reliability.stopped JSON`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from components.cluster.workers import Workers
from components.stage import ends_well
from components.training.loop import fit
from components.training.progress import Progress
from tests.training.helpers import small_run

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


def main(what: dict[str, Any]) -> None:
    """Train as the train stage does."""
    run = small_run(Path(what["shards"]), Path(what["folder"]) / "runs", **what["train"])
    with ends_well("train"), Progress(run, "train"):
        Workers.of(run).run(fit, run)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
