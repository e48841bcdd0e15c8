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
SHARDS = Path("data/shards")


def submit_job(chosen: argparse.Namespace) -> None:
    """The command `submit`."""
    load_params(PARAMS)  # a misspelt key is refused here rather than by the job
    sys.exit(submit(Path.cwd(), chosen.stages, chosen.detach))


def attach_job(chosen: argparse.Namespace) -> None:
    """The command `attach`."""
    sys.exit(attach(Path.cwd(), Jobs.connect(), chosen.job))


def stop_job(chosen: argparse.Namespace) -> None:
    """The command `stop`."""
    Jobs.connect().stop(chosen.job)
    print(f"pix2pipe: job {chosen.job} is told to end")


def list_jobs(_: argparse.Namespace) -> None:
    """The command `jobs`."""
    for job in Jobs.connect().list():
        if job.root is not None:
            began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
            print(f"{job.id}  {job.status:9}  {began}  {' '.join(job.stages) or 'whole graph':20}  {job.root}")


def spread_cells(chosen: argparse.Namespace) -> None:
    """The command `spread`; `dvc --cd tables repro` then finds the runs finished, and only measures them."""
    path: Path = chosen.params
    tables, runs = load_tables(path), {}
    for name in chosen.runs or tables.cells.run:
        if name not in tables.runs:
            raise Fault(f"{path}: no run {name}; there are {', '.join(tables.runs)}")
        for seed in tables.cells.seed:
            run = plan_cell(run_params(tables, name, str(path)), seed, SHARDS, shared() / "runs")
            runs[run.key] = (f"{name}-{seed}", run)
    began = time.perf_counter()

    def say(name: str, how: str) -> None:
        print(f"spread: {name}: {how} ({time.perf_counter() - began:.0f} s)", file=sys.stderr)

    spread(dict(runs.values()), chosen.cpus, say)
