"""A driver in a process of its own: `python -m tests.cluster.drive JSON`, at RAY_ADDRESS.

How a process authenticates to Ray is fixed when it first does, so the tests' own process cannot change it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from components.cluster.placement import PlacementRequest
from components.cluster.workers import Workers
from components.faults import Fault
from components.training.loop import fit
from tests.cluster import functions
from tests.cluster.nodes import ENVIRONMENT
from tests.training.helpers import small_run


def start(address: str, **what: Any) -> "subprocess.Popen[str]":
    """Start `main` on a cluster; its stderr says what Workers says, the last line is the Fault."""
    environment = os.environ | ENVIRONMENT | {"RAY_ADDRESS": address}
    command = [sys.executable, "-W", "ignore", "-m", "tests.cluster.drive", json.dumps(what)]
    elsewhere = tempfile.gettempdir()  # from a project's folder its code would be sent to the nodes
    return subprocess.Popen(command, cwd=elsewhere, env=environment, stderr=subprocess.PIPE, text=True)


def drive(address: str, **what: Any) -> tuple[int, str]:
    """`start`, to its end: the exit status and stderr."""
    driver = start(address, **what)
    _, said = driver.communicate(timeout=240)
    return driver.returncode, said


def main(what: dict[str, Any]) -> None:
    """Run a function of tests/cluster/functions.py in a folder, or train a small run there."""
    folder = Path(what["folder"])
    if "train" in what:
        run = small_run(Path(what["shards"]), folder, **what["train"])
        Workers.of(run).run(fit, run)
        return
    folder.mkdir(parents=True, exist_ok=True)
    asked = PlacementRequest(what.get("placement", "STRICT_SPREAD"), what.get("cpus", 1))
    workers = Workers(2, "cpu", folder, what["timeout_s"], what.get("max_failures", 0), asked)
    workers.run(getattr(functions, what["function"]), folder)


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except Fault as fault:
        sys.exit(str(fault))
