"""Record: all that is logged of one graph, gathered from the files that the stages wrote."""

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from components.faults import Fault
from components.models.card import read_cards
from components.samples.task import Task
from components.storage.files import exists, read_json, sha256_file, sha256_json
from components.storage.home import AnyPath
from components.tracking.note import NOTE, describe_run

ALARMS = "alarms"  # of run.json, and what their points are named by
_PARAM_LENGTH = 6000  # MLflow's own bound for a param's value
_TAG_LENGTH = 5000
_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the processes of a job
_OWN_STAGES = ("register", "report")


@dataclass(frozen=True)
class Outputs:
    """Where the stages wrote.

    Attributes:
        run: checkpoints, curves, sample grids and run.json of the training.
        generated: a folder for each translator.
        metrics: folder of rows.json and headline.json.
        throughput: throughput.json of the run; it may be missing (a run from the DVC cache was not timed here).
        lock: dvc.lock; missing outside DVC.
    """

    run: Path
    generated: Path
    metrics: Path
    throughput: AnyPath
    lock: Path

    @property
    def metrics_file(self) -> Path:
        """Every metric of every row."""
        return self.metrics / "rows.json"


@dataclass(frozen=True)
class Point:
    """One metric at one step."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Record:
    """What MLflow is told of a graph.

    Attributes:
        key: of the training run. name: what it is called on MLflow's pages.
        params: system, training and task; all but where it ran follows from `key`.
        tags: where it came from: commits, hashes, how it was generated.
        curves: losses and validation metrics by step, and 1 at each step where an alarm was raised.
        figures: the headline metrics of the evaluation; of a second translation as
            `SOURCE_to_TARGET/METRIC`. All others are in the artifact metrics/rows.json.
        images_per_second: of the training, None where it was not timed here.
        files: (file, folder among the artifacts).
    """

    key: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    curves: tuple[Point, ...]
    figures: dict[str, float]
    images_per_second: float | None
    files: tuple[tuple[Path, str], ...]

    @cached_property
    def content(self) -> str:
        """One hash of everything except the speed; if it is equal, nothing needs to be logged again."""
        files = {f"{folder}/{file.name}": sha256_file(file) for file, folder in self.files}
        curves = [(point.name, point.step, point.value) for point in self.curves]
        return sha256_json([self.key, self.params, self.tags, curves, self.figures, files])


def gather(outputs: Outputs, commit: str) -> Record:
    """Read the stages' outputs.

    Args:
        commit: of the code that registers; the commit that trained stands in run.json.

    Raises:
        Fault: a file is missing or is not what its stage writes.
    """
    run, metrics = read_json(outputs.run / "run.json"), read_json(outputs.metrics_file)
    cards = read_cards(outputs.generated)
    first, *further = cards
    curves = read_curves(outputs.run / "curves.csv", "train")
    curves += read_curves(outputs.run / "validation.csv", "validation")
    alarms = [Point(f"{ALARMS}/{alarm['name']}", alarm["step"], 1.0) for alarm in run.get(ALARMS, ())]
    timed = exists(outputs.throughput)
    try:
        flat = flatten({"system": run["system"], "train": run["train"], "task": run["task"]})
        tags = alarm_tags(alarms) | {
            "pix2pipe.system": run["system"]["name"],
            "pix2pipe.manifest": run["manifest"],
            "pix2pipe.protocol": metrics[first.name]["protocol"]["hash"],
            "pix2pipe.weights": first.weights_sha256,
            "pix2pipe.checkpoint": f"{first.checkpoint} (step {first.step})",
            "pix2pipe.mode": first.mode,
            "pix2pipe.parameters": json.dumps(run["parameters"], sort_keys=True),
            "pix2pipe.dvc": dvc_revision(outputs.lock),
            "pix2pipe.commit.trained": run["git_commit"],
            "pix2pipe.commit.registered": commit,
            "pix2pipe.ray_job": ray_job(),
            NOTE: describe_run(run, cards, metrics),
            # The name under which MLflow's own pages show a commit.
            "mlflow.source.git.commit": run["git_commit"].removesuffix("-dirty"),
        }
        for card in further:
            name = plain_name(card.name)
            tags[f"pix2pipe.protocol.{name}"] = metrics[card.name]["protocol"]["hash"]
            tags[f"pix2pipe.weights.{name}"] = card.weights_sha256
    except (KeyError, TypeError) as error:
        raise Fault(f"{outputs.run / 'run.json'} or {outputs.metrics_file}: lacks {error}; run dvc repro") from error
    return Record(
        key=run["key"],
        name=run_name(run["system"]["name"], first.task, run["steps"], run["key"]),
        params={name: value[:_PARAM_LENGTH] for name, value in flat.items()},
        tags={name: value[:_TAG_LENGTH] for name, value in tags.items() if value},
        curves=(*curves, *alarms),
        figures=dict(_headlines(read_json(outputs.metrics / "headline.json"))),
        images_per_second=read_json(outputs.throughput)["images_per_second"] if timed else None,
        files=tuple(_files(outputs)),
    )


def run_name(system: str, task: Task, steps: int, key: str) -> str:
    """A training's name on MLflow's pages: first what tells runs apart, since the list shows about 22 characters."""
    return f"{system} {key[:6]}, {steps:,} steps, {task.title}"


def read_curves(path: Path, part: str) -> list[Point]:
    """The metrics of a CSV by step, named PART/COLUMN as in the live run; empty cells are left out."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                Point(f"{part}/{name}", int(row["step"]), float(value))
                for row in csv.DictReader(file)
                for name, value in row.items()
                if name != "step" and value
            ]
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run dvc repro train") from None
    except (KeyError, TypeError, ValueError) as error:
        raise Fault(f"{path}: not a table of metrics by step ({error}); run dvc repro -f train") from error


def alarm_tags(points: Iterable[Point]) -> dict[str, str]:
    """Tags with the step at which each alarm was last raised, from the points that are alarms."""
    alarms = [point for point in points if point.name.startswith(f"{ALARMS}/")]
    return {f"pix2pipe.alarm.{point.name.removeprefix(f'{ALARMS}/')}": f"step {point.step}" for point in alarms}


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested params as dotted names; lists and the like as JSON."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return flat


def _headlines(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _headlines(value, f"{plain_name(name)}/")
        elif math.isfinite(value):
            yield prefix + plain_name(name), float(value)


def plain_name(name: str) -> str:
    """A name with only the characters that MLflow allows, [A-Za-z0-9_. -], and no slash, which separates names."""
    return "".join(c if (c.isascii() and c.isalnum()) or c in "_-. " else "_" for c in name)


def dvc_revision(lock: Path) -> str:
    """The hash of what dvc.lock says of all stages but register and report; empty without a lock."""
    if not lock.exists():
        return ""
    stages = yaml.safe_load(lock.read_text(encoding="utf-8")).get("stages", {})
    return sha256_json({name: stage for name, stage in stages.items() if name not in _OWN_STAGES})


def ray_job() -> str:
    """The Ray job that this process belongs to, empty outside one."""
    try:
        return str(json.loads(os.environ[_RAY_JOB])["metadata"]["job_submission_id"])
    except (KeyError, TypeError, json.JSONDecodeError):
        return ""


def _files(outputs: Outputs) -> list[tuple[Path, str]]:
    run = outputs.run
    found = [(run / name, "run") for name in ("run.json", "curves.csv", "validation.csv")]
    found += [(file, f"checkpoints/{file.parent.name}") for file in sorted((run / "checkpoints").glob("*/*"))]
    found += [(file, "samples") for file in sorted((run / "samples").glob("*.png"))]
    return [*found, (outputs.metrics_file, "metrics"), (outputs.metrics / "headline.json", "metrics")]
