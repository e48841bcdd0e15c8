"""State: what the stages of jobs have made, kept at the root in DVC's own form so that it outlives every job."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.faults import Fault
from components.storage.files import read_bytes, write_text
from components.storage.home import ROOT, AnyPath, located, shared

_LOCK = "dvc.lock"


@dataclass(frozen=True)
class State:
    """dvc.lock and a DVC remote below a root.

    Attributes:
        root: an absolute folder or an s3:// address (any that fsspec and DVC both know).
    """

    root: str

    @classmethod
    def from_environment(cls) -> "State":
        """The state at PIX2PIPE_ROOT.

        Raises:
            Fault: it is not set, or is a relative path.
        """
        root = os.environ.get(ROOT, "").rstrip("/").removeprefix("file://")
        if not root:
            raise Fault(f"{ROOT} is not set; set it to a folder that all nodes share or to s3://BUCKET/PREFIX")
        if "://" not in root and not Path(root).is_absolute():
            raise Fault(f"{ROOT}={root}: not an absolute path; each node would take it for another folder")
        return cls(root)

    @property
    def is_folder(self) -> bool:
        """A path of a file system, not an address."""
        return "://" not in self.root

    @property
    def _path(self) -> AnyPath:
        return located(self.root) / _LOCK

    def reproduce(self, folder: Path, stages: Sequence[str]) -> list[str]:
        """`dvc repro` of a workspace, in which each stage is kept at the root as soon as it is finished.

        The workspace takes the root's dvc.lock; data comes from the root only where a stage that must run
        depends on it.

        Args:
            folder: the workspace: dvc.yaml, code, params; its own dvc.lock is replaced.
            stages: names; none means the whole graph.

        Returns:
            The stages that ran, or came from the cache of runs.

        Raises:
            Fault: a stage failed (it has said why itself), or the root cannot be read or written.
        """
        shared()  # find out before a stage runs for hours that its results could not be kept
        self._write(folder / _LOCK, self._entries())
        kept: list[str] = []

        def run_and_keep(stage: Any, **options: Any) -> Any:
            if done := stage.reproduce(**options):
                stage.dump(update_pipeline=False)
                self._keep(stage, folder)
                kept.append(stage.addressing)
            return done

        with self._repo(folder) as repo:
            repo.reproduce(list(stages) or None, pull=True, allow_missing=True, repro_fn=run_and_keep)
        return kept

    def bring_home(self, folder: Path, stages: Sequence[str]) -> list[str]:
        """Make a workspace as if `dvc repro` of these stages had run in it: their dvc.lock and their data.

        Args:
            folder: the workspace; other stages' entries in its dvc.lock stay.
            stages: names; none means the whole graph.

        Returns:
            The outputs that are now in the workspace.

        Raises:
            Fault: the root cannot be read, or lacks data; data of the workspace that is in no cache would be lost.
        """
        with self._repo(folder) as repo:
            targets: list[str | None] = [*stages] or [None]  # None is DVC's name for the whole graph
            stage_lists = (repo.stage.collect(target, with_deps=True) for target in targets)
            names = {stage.addressing for found in stage_lists for stage in found}
            home = _entries_of((folder / _LOCK).read_text(encoding="utf-8")) if (folder / _LOCK).exists() else {}
            arrived = {name: entry for name, entry in self._entries().items() if name in names}
            self._write(folder / _LOCK, home | arrived)
        with self._repo(folder) as repo:
            repo.fetch(sorted(arrived))
            self._check_out(repo, sorted(arrived))
        return [out["path"] for entry in arrived.values() for out in entry.get("outs", [])]

    @staticmethod
    def _check_out(repo: Any, stages: list[str]) -> None:
        from dvc.exceptions import CheckoutError, DvcException

        try:
            repo.checkout(stages)
        except CheckoutError:
            raise
        except DvcException as error:  # the one other thing it refuses: to overwrite what is saved nowhere
            lost = ", ".join(str(error).splitlines()[1:])
            raise Fault(
                f"the results are in DVC's cache here, but would overwrite files that are saved nowhere else ({lost}); "
                "move those away and run `dvc checkout`"
            ) from error

    def _keep(self, stage: Any, folder: Path) -> None:
        """The data of a finished stage first, then its entry: what dvc.lock names is always there."""
        stage.repo.push(stage.addressing, run_cache=True)
        entry = _entries_of((folder / _LOCK).read_text(encoding="utf-8"))[stage.addressing]
        self._write(self._path, self._entries() | {stage.addressing: entry})

    def _entries(self) -> dict[str, Any]:
        try:
            return _entries_of(read_bytes(self._path).decode())
        except FileNotFoundError:
            return {}

    @staticmethod
    def _write(path: AnyPath, entries: dict[str, Any]) -> None:
        write_text(path, yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False))

    @contextmanager
    def _repo(self, folder: Path) -> Iterator[Any]:
        """The workspace's DVC, with the root as its remote; nothing is written to its config."""
        from dvc import logger
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        if not logging.getLogger("dvc").handlers:
            logger.setup(logging.INFO)
        remote = {"core": {"remote": "root"}, "remote": {"root": {"url": f"{self.root}/dvc"}}}
        with self._said():
            try:
                # DVC takes the names of stages to be of the folder it stands in.
                with chdir(folder), Repo(config=remote) as repo:
                    yield repo
            except DvcException as error:
                reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
                raise Fault(" ".join(reason.split())) from error

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say in one line that the root cannot be reached, whatever library found out."""
        try:
            yield
        except _refusals() as error:
            raise Fault(f"{ROOT}={self.root}: {' '.join(str(error).split())}") from error


def _refusals() -> tuple[type[Exception], ...]:
    """What file systems and the library of object stores, where it is installed, raise."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        return (OSError,)
    return (OSError, BotoCoreError, ClientError)


def _entries_of(text: str) -> dict[str, Any]:
    return dict((yaml.safe_load(text) or {}).get("stages", {}))
