"""Checkpoints: whole or not there, checked when read, the last two and the best kept."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from components.faults import Fault
from components.networks.frozen import UNREADABLE
from components.networks.tensors import write_tensors
from components.storage.files import (
    faults_of_the_disk,
    listed,
    put_file,
    read_bytes,
    remove,
    sha256_file,
)
from components.storage.home import AnyPath
from components.storage.node_cache import Damaged, open_copy
from components.storage.scratch import scratch
from components.systems.weights import load_weights

WEIGHTS, STATE, META = "weights.safetensors", "state.pt", "checkpoint.json"
_FILES = {WEIGHTS, STATE, META}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: `weights.safetensors`, `state.pt` and `checkpoint.json` with their sha256 and bytes."""

    folder: AnyPath
    step: int
    score: float | None
    meta: dict[str, Any] = field(repr=False, compare=False)

    def weights(self) -> dict[str, Tensor]:
        """All weights and buffers by `network.key`, and averages by `ema.network.key`.

        Raises:
            Fault: not a safetensors file.
        """
        return load_weights(self.folder / WEIGHTS, None if isinstance(self.folder, Path) else self.read(WEIGHTS))

    def state(self) -> dict[str, Any]:
        """Optimizers and memories, as their `state_dict`s; nothing in the file is run.

        Raises:
            Fault: it holds other things than tensors, numbers and names, or cannot be read.
        """
        with os.fdopen(self._open(STATE), "rb") as file:
            try:
                state: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
            except UNREADABLE as error:
                what = f"{self.folder / STATE} (sha256 {self.meta['sha256'][STATE]})"
                raise Fault(f"{what}: not a training state ({type(error).__name__}); remove {self.folder}") from error
        return state

    def read(self, name: str) -> bytes:
        """All bytes of one of its files."""
        with os.fdopen(self._open(name), "rb") as file:
            return file.read()

    def is_whole(self) -> bool:
        """Whether its bytes are what was written; those at a remote root are fetched for it, once a node."""
        try:
            for name, digest in self.meta["sha256"].items():
                if isinstance(self.folder, Path):
                    if sha256_file(self.folder / name) != digest:
                        return False
                else:
                    os.close(self._open(name))
        except (Damaged, FileNotFoundError):
            return False
        return True

    def _open(self, name: str) -> int:
        if isinstance(self.folder, Path):
            return os.open(self.folder / name, os.O_RDONLY | os.O_CLOEXEC)
        return open_copy(self.folder / name, self.meta["sha256"][name], self.meta["bytes"][name])


class CheckpointStore:
    """The checkpoints of one run, in folders `step_00000250`.

    On a disk a checkpoint gets its place by rename. An object store has none: there `checkpoint.json` is what
    makes a checkpoint, written last and deleted first.

    Args:
        run: key of the run, which its checkpoints carry; those of another run are refused. None: not looked at.
    """

    def __init__(self, folder: AnyPath, keep: int = 2, run: str | None = None) -> None:
        self.folder, self.keep, self.run = folder, keep, run

    def save(self, step: int, weights: dict[str, Tensor], state: dict[str, Any], score: float | None) -> Checkpoint:
        """Write a checkpoint beside the others, then forget those that are neither among the last nor best.

        The caller waits until it is written: at a remote root, until its three files are uploaded.
        """
        final = self.folder / f"step_{step:08d}"
        with _placed(final) as folder:
            write_tensors(folder / WEIGHTS, weights)
            with (folder / STATE).open("wb") as file:
                torch.save(state, file)
            meta = {
                "run": self.run,
                "step": step,
                "score": score,
                "sha256": {name: sha256_file(folder / name) for name in (WEIGHTS, STATE)},
                "bytes": {name: (folder / name).stat().st_size for name in (WEIGHTS, STATE)},
            }
            (folder / META).write_text(json.dumps(meta), encoding="utf-8")
        self._forget(self.best())
        return Checkpoint(final, step, score, meta)

    def last(self) -> Checkpoint | None:
        """The newest checkpoint whose bytes are what was written; damaged ones are passed over."""
        found = (self._read(name) for name in reversed(self._whole()))
        return next((checkpoint for checkpoint in found if checkpoint and checkpoint.is_whole()), None)

    def all(self) -> list[Checkpoint]:
        """Every checkpoint that is kept, oldest first; their bytes are not looked at."""
        return [checkpoint for name in self._whole() if (checkpoint := self._read(name))]

    def best(self) -> Checkpoint | None:
        """The checkpoint with the lowest validation score so far, of equals the first; it is never forgotten.

        The checkpoints say so themselves: a note of it beside them would be out of date after a kill between the two.
        """
        scored = ((checkpoint.score, checkpoint) for checkpoint in self.all() if checkpoint.score is not None)
        return min(scored, key=lambda pair: pair[0], default=(0.0, None))[1]

    def drop_after(self, step: int) -> None:
        """Forget checkpoints of steps that are about to be taken anew, and what kills left of writing or deleting."""
        for name, files in self._folders().items():
            if int(name.removeprefix("step_")) > step or not files >= _FILES:
                _delete(self.folder / name)
        if isinstance(self.folder, Path):
            for stale in self.folder.glob(".*.tmp"):
                shutil.rmtree(stale) if stale.is_dir() else stale.unlink()

    def _folders(self) -> dict[str, set[str]]:
        """The files of each step_* folder, oldest first."""
        folders: dict[str, set[str]] = {}
        if isinstance(self.folder, Path):  # where a folder may be there and empty
            folders = {path.name: set() for path in sorted(self.folder.glob("step_*"))}
        for path in listed(self.folder):
            name, _, file = path.partition("/")
            if file and name.startswith("step_"):
                folders.setdefault(name, set()).add(file)
        return folders

    def _whole(self) -> list[str]:
        return [name for name, files in self._folders().items() if files >= _FILES]

    def _read(self, name: str) -> Checkpoint | None:
        """A checkpoint as its checkpoint.json says; None where there is none, or none any more.

        Raises:
            Fault: it is the checkpoint of another run or of another step.
        """
        folder = self.folder / name
        try:
            meta = json.loads(read_bytes(folder / META))
        except FileNotFoundError:
            return None
        if self.run is not None and meta.get("run") != self.run:
            raise Fault(f"{folder}: is a checkpoint of run {meta.get('run')}, not of {self.run}; remove it")
        if f"step_{meta['step']:08d}" != name:
            raise Fault(f"{folder}: is the checkpoint of step {meta['step']}; remove it")
        return Checkpoint(folder, meta["step"], meta["score"], meta)

    def _forget(self, best: Checkpoint | None) -> None:
        for name in self._whole()[: -self.keep]:
            if best is None or self.folder / name != best.folder:
                _delete(self.folder / name)


@contextmanager
def _placed(final: AnyPath) -> Iterator[Path]:
    """A folder of this machine to write a checkpoint's files to; it takes its place when the block ends well."""
    if not isinstance(final, Path):
        with faults_of_the_disk(Path(tempfile.gettempdir())), scratch() as made:
            yield Path(made)
            remove(final / META)
            for name in (WEIGHTS, STATE, META):
                put_file(Path(made) / name, final / name)
        return
    temporary = final.with_name(f".{final.name}.tmp")
    with faults_of_the_disk(final):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for name in (WEIGHTS, STATE, META):
            with (temporary / name).open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)


def _delete(folder: AnyPath) -> None:
    if isinstance(folder, Path):
        shutil.rmtree(folder)
        return
    for name in (META, STATE, WEIGHTS):
        remove(folder / name)
