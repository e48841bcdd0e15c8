"""Commands about work on a cluster: spread, submit, attach, stop, jobs; docs/cluster.md."""

import argparse
import sys
import time
from pathlib import Path

from components.cluster.jobs import Jobs
from components.cluster.spread import spread
from components.cluster.submit import attach, submit
from components.faults import Fault
from components.home import shared
from components.params import load_params, load_tables, run_params
from components.tables.cell import plan_cell

PARAMS = Path("params.yaml")
TABLES = Path("tables/params.yaml")
SHARDS = Path("data/shards")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands of this file."""
    command = commands.add_parser("spread", help="train the cells of the papers' tables as parallel tasks of Ray")
    command.add_argument("runs", nargs="*", metavar="RUN", help="default: all of cells.run")
    command.add_argument("--cpus", type=int, default=1, help="that each takes; default: 1")
    command.add_argument("--params", type=Path, default=TABLES, help=f"default: {TABLES}")
    command.set_defaults(run=lambda chosen: _spread(chosen.runs, chosen.cpus, chosen.params))
    command = commands.add_parser("submit", help="run stages as a job on the cluster at RAY_API_SERVER_ADDRESS")
    command.add_argument("stages", nargs="*", metavar="STAGE", help="default: the whole graph")
    command.add_argument("--detach", action="store_true", help="do not wait for its end")
    command.set_defaults(run=lambda chosen: _submit(chosen.stages, chosen.detach))
    command = commands.add_parser("attach", help="follow a job's log to its end and bring its results home")
    command.add_argument("job")
    command.set_defaults(run=lambda chosen: sys.exit(attach(Path.cwd(), Jobs.connect(), chosen.job)))
    command = commands.add_parser("stop", help="end a job; what it has finished is kept")
    command.add_argument("job")
    command.set_defaults(run=lambda chosen: _stop(chosen.job))
    command = commands.add_parser("jobs", help="list the cluster's jobs of this project, the newest last")
    command.set_defaults(run=lambda _: _jobs())


def _submit(stages: list[str], detach: bool) -> None:
    load_params(PARAMS)  # a misspelt key is refused here rather than by the job
    sys.exit(submit(Path.cwd(), stages, detach))


def _stop(job: str) -> None:
    Jobs.connect().stop(job)
    print(f"pix2pipe: job {job} is told to end")


def _jobs() -> None:
    for job in Jobs.connect().list():
        if job.root is not None:
            began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
            print(f"{job.id}  {job.status:9}  {began}  {' '.join(job.stages) or 'whole graph':20}  {job.root}")


def _spread(names: list[str], cpus: int, path: Path) -> None:
    """`dvc --cd tables repro` then finds the runs finished, and only measures them."""
    tables, runs = load_tables(path), {}
    for name in names or tables.cells.run:
        if name not in tables.runs:
            raise Fault(f"{path}: no run {name}; there are {', '.join(tables.runs)}")
        for seed in tables.cells.seed:
            run = plan_cell(run_params(tables, name, str(path)), seed, SHARDS, shared() / "runs")
            runs[run.key] = (f"{name}-{seed}", run)
    began = time.perf_counter()

    def say(name: str, how: str) -> None:
        print(f"spread: {name}: {how} ({time.perf_counter() - began:.0f} s)", file=sys.stderr)

    spread(dict(runs.values()), cpus, say)
