"""How a stage of the graph runs: validated params in, one clear line out when something is wrong."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from components.asked import check_inputs
from components.faults import Fault, faults_of_the_machine
from components.params import Params, load_params
from components.plan import check_plan
from components.samples.schema import user_paths
from components.storage.files import exists, read_json, write_json
from components.storage.home import LOCAL, AnyPath
from components.storage.locks import exclusive
from components.storage.outputs import (
    refuse_inputs_among_outputs,
    refuse_what_is_no_file,
    replaced,
    stage_outputs,
)
from components.tracking.store import tracking_uri
from components.training.stop import Stopped, sigterm_raises

TIMINGS = Path(".pix2pipe/timings")
LOCKS = Path(".pix2pipe/locks")


class Clock:
    """Where a stage's seconds went: named parts, beside the whole.

    Work is what the stage exists for; everything under another name (`ray`, `mlflow`, `checkpoint`) is orchestration.
    The times are kept outside the stage's outputs, which must not depend on how long it took.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.started = time.time()
        self._began = time.perf_counter()  # a clock that is set meanwhile changes no span
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the seconds of the block under `name`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - begin)

    def add(self, name: str, seconds: float) -> None:
        """Count seconds measured elsewhere (another process) under `name`."""
        self.parts[name] = self.parts.get(name, 0.0) + seconds

    def merge(self, throughput: AnyPath) -> None:
        """Count the seconds that a run wrote into its throughput.json; nothing if it took no step."""
        if exists(throughput):
            for name, seconds in read_json(throughput)["seconds"].items():
                self.add(name, seconds)

    def save(self, root: Path = TIMINGS) -> None:
        """Write {stage, started, ended (Unix seconds), parts (seconds)} to root/STAGE.json."""
        ended = self.started + time.perf_counter() - self._began
        figures = {"stage": self.stage, "started": self.started, "ended": ended, "parts": self.parts}
        write_json(root / f"{self.stage}.json", figures)


def run_stage(name: str, main: Callable[[Params, Clock], None]) -> None:
    """Run one stage from the command line: `python -m pipelines.NAME [--params FILE]`.

    All of params.yaml is validated before any work, and what later stages would refuse (components/plan.py), so a
    misspelt key of the last stage is refused by the first. Refused are also inputs that were made for other params
    (components/asked.py), pipes and the like in place of files, a stage whose outputs another process is writing here,
    and one that would replace what a person has put among its outputs (components/storage/outputs.py). Faults,
    Ctrl-C and SIGTERM end it as `exit_with_one_line` says.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{name}", description=main.__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    arguments = parser.parse_args()
    clock = Clock(name)
    with exit_with_one_line(name):
        params = load_params(arguments.params)
        check_plan(params)
        tracking_uri(LOCAL)  # the first stage refuses a folder in which register could keep no database
        outputs = stage_outputs(name)
        refuse_what_is_no_file(name, outputs)
        check_inputs(name, params)
        refuse_inputs_among_outputs(user_paths(params))
        here = exclusive(LOCKS / f"{name}.lock", f"the stage {name} of {Path.cwd()}")
        with here, replaced(name, outputs):
            main(params, clock)
            clock.save()


@contextmanager
def exit_with_one_line(name: str) -> Iterator[None]:
    """End the process as its block ended, with one line on stderr: a Fault with status 1, Ctrl-C 130, SIGTERM 143."""
    try:
        with sigterm_raises(), faults_of_the_machine():
            yield
    except Fault as fault:
        sys.exit(f"{name}: {fault}")
    except Stopped as stopped:
        print(f"{name}: {stopped}; `dvc repro` goes on from here", file=sys.stderr)  # noqa: T201
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        print(f"{name}: stopped; `dvc repro` goes on from here", file=sys.stderr)  # noqa: T201
        sys.exit(130)
