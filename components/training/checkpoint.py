"""Checkpoints: whole or not there, checked when read, the last two and the best kept."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from components.files import faults_of_the_disk, read_json, sha256_file, write_json

WEIGHTS, STATE, META = "weights.safetensors", "state.pt", "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk: `weights.safetensors`, `state.pt` and `checkpoint.json` with their sha256."""

    folder: Path
    step: int
    score: float | None

    def weights(self) -> dict[str, Tensor]:
        """All weights and buffers by `network.key`, and averages by `ema.network.key`."""
        return load_file(self.folder / WEIGHTS)

    def state(self) -> dict[str, Any]:
        """Optimizers and memories, as their `state_dict`s."""
        state: dict[str, Any] = torch.load(self.folder / STATE, weights_only=True, map_location="cpu")
        return state


class CheckpointStore:
    """The checkpoints of one run, in folders `step_00000250` beside `best.json`."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def save(self, step: int, weights: dict[str, Tensor], state: dict[str, Any], score: float | None) -> Checkpoint:
        """Write a checkpoint beside the others, then forget those that are neither among the last nor best."""
        final = self.folder / f"step_{step:08d}"
        temporary = self.folder / f".step_{step:08d}.tmp"
        with faults_of_the_disk(final):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            save_file(
                {key: value.detach().cpu().contiguous() for key, value in weights.items()},
                temporary / WEIGHTS,
            )
            torch.save(state, temporary / STATE)
            files = {name: sha256_file(temporary / name) for name in (WEIGHTS, STATE)}
            (temporary / META).write_text(json.dumps({"step": step, "score": score, "sha256": files}))
            for name in (WEIGHTS, STATE, META):
                with (temporary / name).open("rb") as file:
                    os.fsync(file.fileno())
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
        checkpoint = Checkpoint(final, step, score)
        best = self.best()
        if score is not None and (best is None or best.score is None or score < best.score):
            write_json(self.folder / "best.json", {"step": step})
        self._forget()
        return checkpoint

    def last(self) -> Checkpoint | None:
        """The newest checkpoint whose bytes are what was written; damaged ones are passed over."""
        for folder in sorted(self.folder.glob("step_*"), reverse=True):
            meta = self._meta(folder)
            if meta and all(sha256_file(folder / name) == digest for name, digest in meta["sha256"].items()):
                return Checkpoint(folder, meta["step"], meta["score"])
        return None

    def all(self) -> list[Checkpoint]:
        """Every checkpoint that is kept, oldest first."""
        metas = [(folder, self._meta(folder)) for folder in sorted(self.folder.glob("step_*"))]
        return [Checkpoint(folder, meta["step"], meta["score"]) for folder, meta in metas if meta]

    def best(self) -> Checkpoint | None:
        """The checkpoint with the lowest validation score so far."""
        if not (self.folder / "best.json").exists():
            return None
        folder = self.folder / f"step_{read_json(self.folder / 'best.json')['step']:08d}"
        meta = self._meta(folder)
        return Checkpoint(folder, meta["step"], meta["score"]) if meta else None

    def drop_after(self, step: int) -> None:
        """Forget checkpoints of steps that are about to be taken anew."""
        for folder in self.folder.glob("step_*"):
            if int(folder.name.removeprefix("step_")) > step:
                shutil.rmtree(folder)

    def _meta(self, folder: Path) -> dict[str, Any] | None:
        files = [folder / name for name in (WEIGHTS, STATE, META)]
        if not all(file.exists() for file in files):
            return None
        meta: dict[str, Any] = read_json(folder / META)
        return meta

    def _forget(self) -> None:
        best = self.best()
        folders = sorted(self.folder.glob("step_*"))
        for folder in folders[: -self.keep]:
            if best is None or folder != best.folder:
                shutil.rmtree(folder)
