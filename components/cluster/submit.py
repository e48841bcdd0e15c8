"""From home: a job of the graph's stages is submitted, followed, and its results are brought back."""

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from components.cluster.jobs import Jobs
from components.cluster.state import State
from components.cluster.upload import pack
from components.faults import Fault
from components.storage.scratch import scratch

INTERRUPTED = 130


def submit(project: Path, stages: Sequence[str], detach: bool) -> int:
    """Run stages of a project on the cluster.

    Args:
        project: the folder of dvc.yaml.
        stages: names; none means the whole graph.
        detach: do not wait for the end.

    Returns:
        The status to exit with: 0 done (or detached as asked), 1 the job failed, 130 Ctrl-C.

    Raises:
        Fault: settings that are missing or wrong, a cluster that refuses, another job at work on the same root.
    """
    state = State.from_environment()
    _require_stages(project, stages)
    jobs = Jobs.connect()
    for note in jobs.notes():
        _say(f"note: {note}")
    with scratch() as folder:
        upload = pack(project, Path(folder))
        _say(f"sends {upload} to {jobs.address}")
        job = jobs.submit(upload, state.root, stages)
    _say(f"job {job}: {', '.join(stages) or 'the whole graph'}; results are kept at {state.root}")
    if detach:
        _say(f"follow it with `pix2pipe attach {job}`, end it with `pix2pipe stop {job}`")
        return 0
    return attach(project, jobs, job)


def attach(project: Path, jobs: Jobs, job: str) -> int:
    """Show a job's log from its beginning until it ends, and bring home what it made.

    Returns:
        The status to exit with, as `submit` does.

    Raises:
        Fault: no such job, or its results cannot be had.
    """
    try:
        ended = jobs.follow(job, sys.stdout)
    except KeyboardInterrupt:
        _say(f"detached; job {job} goes on: `pix2pipe attach {job}` to follow it, `pix2pipe stop {job}` to end it")
        return INTERRUPTED
    if ended.status != "SUCCEEDED":
        # The log has told why; a job that never began has no log.
        reason = "" if "last available logs" in ended.message else f" ({' '.join(ended.message.split())})"
        _say(f"job {job}: {ended.status.lower()}{reason}")
        return 1
    if ended.root is not None:
        _bring_home(project, State(ended.root), ended.stages)
    return 0


def _bring_home(project: Path, state: State, stages: Sequence[str]) -> None:
    if not (project / "dvc.yaml").exists():
        _say(f"results are at {state.root}; run the same command in the project's folder to copy them here")
        return
    if state.is_folder and not Path(state.root).is_dir():
        _say(f"results are at {state.root} on the nodes; this machine has no such folder to copy them from")
        return
    outputs = state.bring_home(project, stages)
    _say(f"copied here: {', '.join(outputs)}; see `dvc status`")


def _require_stages(project: Path, stages: Sequence[str]) -> None:
    try:
        known = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    except FileNotFoundError:
        raise Fault(f"{project / 'dvc.yaml'}: not found; run from the project's folder") from None
    unknown = [stage for stage in stages if stage not in known]
    if unknown:
        raise Fault(f"{unknown[0]}: no such stage; there are {', '.join(known)}")


def _say(line: str) -> None:
    print(f"pix2pipe: {line}", file=sys.stderr, flush=True)  # noqa: T201
