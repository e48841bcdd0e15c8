"""A job: what the cluster runs for `pix2pipe submit`, in a workspace of its own.

`python -m components.cluster.job [STAGE...]`, from the folder that Ray unpacked. Only the standard library
is imported before the nodes' packages have been checked.
"""

import os
import shutil
import signal
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from components.faults import Fault
from components.storage.scratch import scratch

VERSIONS = "PIX2PIPE_VERSIONS"


def main(stages: Sequence[str]) -> None:
    """Run the stages; a Fault is one line and status 1.

    The workspace is a copy beside the upload, since Ray gives jobs with equal uploads one and the same folder.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `pix2pipe stop`: leave no workspace behind
    try:
        check_packages(Path("pyproject.toml"), os.environ.get(VERSIONS, ""))
        from components.cluster.state import State

        state = State.from_environment()
        _prepare_environment(state.root if state.is_folder else None)
        with scratch() as folder:
            workspace = Path(folder) / "project"
            shutil.copytree(Path.cwd(), workspace, ignore=shutil.ignore_patterns("__pycache__"))
            (workspace / ".dvc").mkdir(exist_ok=True)
            (workspace / ".dvc/config.local").write_text(
                "[core]\n    no_scm = true\n    analytics = false\n", encoding="utf-8"
            )
            kept = state.reproduce(workspace, stages)
        _say(f"job: kept at {state.root}: {', '.join(kept) or 'nothing new'}")
    except Fault as fault:
        sys.exit(f"job: {fault}")


def check_packages(project: Path, client: str) -> None:
    """See that this node has what the project needs.

    Args:
        project: pyproject.toml.
        client: versions where the job was submitted, as "ray=2.60.0 torch=2.13.0"; another one is said.

    Raises:
        Fault: packages that are missing or outside the project's ranges, by name; no project here.
    """
    from packaging.requirements import Requirement  # Ray needs it too, so it is there

    if not project.exists():
        raise Fault(f"{project}: not found; upload the project's folder (--working-dir)")
    lacking = []
    for text in tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]:
        needed = Requirement(text)
        try:
            found = version(needed.name)
        except PackageNotFoundError:
            lacking.append(f"{needed.name} (missing)")
            continue
        if not needed.specifier.contains(found, prereleases=True):
            lacking.append(f"{needed.name} ({found}, not {needed.specifier})")
    if lacking:
        raise Fault(f"this node's Python lacks {', '.join(lacking)}; install pix2pipe's dependencies on every node")
    for name, there in (pair.split("=", 1) for pair in client.split()):
        here = version(name)
        if here.split("+")[0] != there.split("+")[0]:
            _say(f"job: note: {name} is {here} here and {there} where the job was submitted")


def _prepare_environment(folder: str | None) -> None:
    """What the stages' processes inherit; what the nodes set themselves wins."""
    environ = os.environ
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}"
    environ.setdefault("PYTHONUNBUFFERED", "1")
    environ.setdefault("TQDM_MININTERVAL", "15")  # a log gets a line of each bar now and then
    if folder is not None:  # without a server, runs are kept beside what else is kept
        environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
