"""What a finished run hands to the next stages: files that are the same whenever and wherever it was trained."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from components.faults import Fault
from components.models.card import Card, GenerateConfig
from components.models.trained import Trained
from components.samples.task import Task
from components.shards.manifest import Manifest
from components.storage.files import (
    atomic_folder,
    listed,
    read_bytes,
    read_json,
    write_bytes,
    write_json,
    write_text,
)
from components.systems import AnySystemConfig, SystemConfig, build
from components.systems.weights import load_weights, require_sha256
from components.training import log
from components.training.alarms import ALARMS, Alarms
from components.training.checkpoint import META, WEIGHTS, Checkpoint
from components.training.config import TrainConfig
from components.training.run import Run

COMMIT = "PIX2PIPE_COMMIT"


def export_run(run: Run, out: Path) -> None:
    """Replace `out` by the last and the best checkpoint, curves, sample grids and run.json.

    Raises:
        Fault: the run is not finished, or a checkpoint of it is damaged.
    """
    last, best = run.checkpoints.last(), run.checkpoints.best()
    if last is None or best is None or last.step < run.num_steps():
        raise Fault(f"{run.folder}: the run is not finished; run dvc repro again to go on")
    with atomic_folder(out) as folder:
        checkpoints = {
            name: _export_checkpoint(checkpoint, folder / "checkpoints" / name)
            for name, checkpoint in (("last", last), ("best", best))
        }
        records = log.read(run.folder)
        write_text(folder / "curves.csv", log.table(records, "terms"))
        write_text(folder / "validation.csv", log.table(records, "validation"))
        for part in ("terms", "validation"):
            for name, curve in log.curves(records, part).items():
                write_text(folder / "plots" / f"{name}.csv", curve)
        for name in (name for name in listed(run.folder / "samples") if name.startswith("step_")):
            write_bytes(folder / "samples" / name, read_bytes(run.folder / "samples" / name))
        write_json(
            folder / "run.json",
            {
                "key": run.key,
                "system": run.system.model_dump(mode="json"),
                "train": run.train.model_dump(mode="json"),
                "task": run.task.model_dump(mode="json"),
                "manifest": Manifest.read(run.shards).sha256,
                "git_commit": git_commit(),
                "steps": last.step,
                "parameters": build(run.system, run.shape()).num_parameters(),
                "checkpoints": checkpoints,
                ALARMS: [asdict(alarm) for alarm in Alarms(records).all],
            },
        )


def export_trained(out: Path, config: GenerateConfig, shards: Path, folder: Path) -> list[Card]:
    """Write the generators of an exported run, from the checkpoint that `config` names, below `folder`.

    Args:
        out: where `export_run` wrote.
        shards: the data the run was trained on; its manifest gives the domains.

    Raises:
        Fault: the weights are not the ones that were exported.
    """
    run = read_json(out / "run.json")
    system = TypeAdapter[AnySystemConfig](SystemConfig).validate_python(run["system"])
    train = TrainConfig.model_validate(run["train"])
    task = Task.model_validate(run["task"])
    shape = Run(system, train, shards, out, task, run["key"]).shape()
    file, exported = out / "checkpoints" / config.checkpoint / WEIGHTS, run["checkpoints"][config.checkpoint]
    require_sha256(file, exported["sha256"], "run.json", "run dvc repro -f train")
    weights = load_weights(file)
    lineage = {"checkpoint": config.checkpoint, "step": exported["step"]}
    return Trained(weights, system, shape, task, config, lineage | {"key": run["key"]}).write(folder)


def git_commit() -> str:
    """The commit of the working folder, with `-dirty` when tracked files differ; empty outside git.

    A job has no repository; who submitted it says in PIX2PIPE_COMMIT what it was sent from.
    """
    if COMMIT in os.environ:
        return os.environ[COMMIT]
    here = Path.cwd().absolute()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        return ""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[0]
        advice = "the commit will be missing from what this makes"
        if "dubious ownership" in said:
            advice += f"; if you trust it: git config --global --add safe.directory '{here}'"
        print(f"note: git does not name the commit of {here} ({said[:120]}); {advice}", file=sys.stderr)  # noqa: T201
        return ""


def _export_checkpoint(checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    """Copy the weights, which must be the very ones that were saved; the best may be long ago."""
    write_bytes(folder / WEIGHTS, checkpoint.read(WEIGHTS))
    digest = checkpoint.meta["sha256"][WEIGHTS]
    remedy = f"{checkpoint.folder} is damaged: remove its run's folder and run dvc repro again"
    require_sha256(folder / WEIGHTS, digest, META, remedy)
    return {"step": checkpoint.step, "score": checkpoint.score, "sha256": digest}
