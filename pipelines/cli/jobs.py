"""Commands about jobs on a cluster: submit, attach, stop, jobs; docs/cluster.md."""

import argparse
import sys
import time
from pathlib import Path

from components.cluster.jobs import Jobs
from components.cluster.submit import attach, submit

PARAMS = Path("params.yaml")


def submit_job(chosen: argparse.Namespace) -> None:
    """The command `submit`."""
    from components.params import load_params  # it loads torch, which the other commands do without

    load_params(PARAMS)  # a misspelt key is refused here rather than by the job
    sys.exit(submit(Path.cwd(), chosen.stages, chosen.detach))


def attach_job(chosen: argparse.Namespace) -> None:
    """The command `attach`."""
    sys.exit(attach(Path.cwd(), Jobs.connect(), chosen.job))


def stop_job(chosen: argparse.Namespace) -> None:
    """The command `stop`."""
    Jobs.connect().stop(chosen.job)
    print(f"pix2pipe: job {chosen.job} was told to stop")


def list_jobs(_: argparse.Namespace) -> None:
    """The command `jobs`."""
    for job in Jobs.connect().list():
        if job.root is not None:
            began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
            print(f"{job.id}  {job.status:9}  {began}  {' '.join(job.stages) or 'whole graph':20}  {job.root}")
