"""A cell: one named run with one seed, trained, and its test pictures measured under the tables' one protocol."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.evaluation.evaluate import evaluate
from components.evaluation.points import read_points
from components.evaluation.sides import open_sides
from components.faults import Fault
from components.models.asked import open_asked
from components.models.generator import Generator
from components.models.trained import Trained
from components.samples.task import Task
from components.shards.manifest import Manifest
from components.shards.reader import Split, evenly
from components.shards.writer import write_set
from components.storage.files import read_json
from components.storage.home import AnyPath
from components.storage.scratch import scratch
from components.systems import build
from components.systems.judge import Judge
from components.tables.config import BEST, RunParams, TablesParams
from components.tasks.encoding import render, to_one_size
from components.tasks.scatter import scatter
from components.training.checkpoint import Checkpoint
from components.training.run import Run, plan

Strip = NDArray[np.uint8]
_SIDE, _FRAME = 200, 210  # of a picture of points: its side in pixels, and the grey of its frame


@dataclass(frozen=True)
class Cell:
    """What a trained run is measured with.

    Attributes:
        shards: root of the data. judge: reads labels from photos, None where there is none.
        cache: folder where features of real pictures are kept for the next cell.
    """

    shards: Path
    judge: Judge | None
    cache: Path

    def require_judge(self, run: Run) -> None:
        """Refuse stacked pictures without their judge, before hours of training.

        Raises:
            Fault: it is not there.
        """
        target = run.task.target
        if run.shape().target.stacked and (self.judge is None or self.judge.card.task.source != target):
            raise Fault(
                f"data/judge reads nothing from {target}, whose modes are counted by what its channels show; set "
                "judge.system to {name: classifier} in params.yaml, and run dvc repro judge"
            )

    def measure(self, run: Run, params: TablesParams) -> tuple[dict[str, Any], Strip]:
        """The figures of every direction that a finished run translates, and a strip of test pictures of each.

        Returns:
            The content of a cell's file but its name: `key`, `parameters`, the `steps` of the checkpoints that were
            measured and, by direction, `protocol` and `figures`, with those of the best checkpoint as `best_NAME` where
            params ask for it; and the strips below each other, (directions * H, pictures * W, 3), as `strips` names
            them.

        Raises:
            Fault: the run is not finished.
        """
        chosen = run.checkpoints.last() if params.generate.checkpoint == "last" else run.checkpoints.best()
        last = run.checkpoints.last()
        if chosen is None or last is None or last.step < run.num_steps():
            raise Fault(f"{run.folder}: the run is not finished; run the cell again to go on")
        shape, strips = run.shape(), []
        directions: dict[str, dict[str, Any]] = {}
        for name, measured, pictures in self._uses(run, chosen, params):
            directions[name] = measured
            strips.append(pictures)
        steps = {params.generate.checkpoint: chosen.step}
        best = run.checkpoints.best() if params.best else None
        if best is not None:
            same = best.step == chosen.step
            again = directions if same else {name: measured for name, measured, _ in self._uses(run, best, params)}
            for name, measured in directions.items():
                of_best = {f"{BEST}{key}": value for key, value in again[name]["figures"].items()}
                measured["figures"] = measured["figures"] | of_best
            steps["best"] = best.step
        figures = {
            "key": run.key,
            "system": run.system.model_dump(mode="json"),
            "train": run.train.model_dump(mode="json"),
            "steps": steps,
            "parameters": build(run.system, shape).num_parameters(),
            "directions": directions,
            "strips": list(directions),
        }
        return figures, np.concatenate(to_one_size(strips))

    def _uses(
        self, run: Run, checkpoint: Checkpoint, params: TablesParams
    ) -> Iterator[tuple[str, dict[str, Any], Strip]]:
        """What is measured of each use of a checkpoint, by the name of its task, and its strip."""
        lineage = {"checkpoint": params.generate.checkpoint, "step": checkpoint.step, "key": run.key}
        trained = Trained(checkpoint.weights(), run.system, run.shape(), run.task, params.generate, lineage)
        for generator in trained.generators():
            with scratch() as work:
                yield generator.card.name, *self._direction(generator, Path(work), params)

    def _direction(self, generator: Generator, work: Path, params: TablesParams) -> tuple[dict[str, Any], Strip]:
        card, manifest = generator.card, Manifest.read(self.shards)
        target = card.task.target
        train, test, sources = open_sides(self.shards, card.task)
        out, domains = work / f"{card.name}_test", {target: manifest.domains[target]}
        pictures = open_asked(self.shards, card, count=params.generate.count).all(generator)
        write_set(out, manifest.source, domains, Task(target=target), {"test": pictures})
        generated = Split(out, "test")
        done = evaluate(
            params.evaluate, train, test, generated, card.task, self.judge, self.cache, sources=sources, only=()
        )
        metrics = {
            "task": card.task.model_dump(mode="json"),
            "protocol": done.metrics["protocol"],
            "figures": done.metrics["rows"]["model"],
        }
        if "skipped" in done.metrics:
            metrics["skipped"] = done.metrics["skipped"]
        return metrics, strip(generated, target, params.pictures)


def plan_cell(run: RunParams, seed: int, shards: Path, runs_root: AnyPath) -> Run:
    """The training run of a cell; equal params are one run, whatever its names."""
    train = run.train.model_copy(update={"seed": seed})
    return plan(run.system, train, shards, runs_root)


def strip(split: Split, domain: str, count: int) -> Strip:
    """Pictures of some samples, evenly spread and always the same, side by side as people see them; of points one
    framed picture of all of them."""
    mixture = split.manifest.domains[domain].mixture
    if mixture is not None:
        points = scatter(mixture, read_points(split, domain), _SIDE)[1:-1, 1:-1]
        return np.pad(points, ((1, 1), (1, 1), (0, 0)), constant_values=_FRAME)
    pictures = np.stack([split.picture(place, domain) for place in evenly(len(split), count)])
    drawn = render(split.manifest.domains[domain], pictures)
    return np.concatenate(list(drawn), axis=1)


def read_strip(folder: Path, cell: str, direction: str) -> Strip:
    """The pictures of one direction that a cell kept in a folder."""
    directions = read_json(folder / f"{cell}.json")["strips"]
    with Image.open(folder / f"{cell}.png", formats=("PNG",)) as image:
        return np.split(np.asarray(image), len(directions))[directions.index(direction)]
