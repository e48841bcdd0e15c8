"""TrialObjective: the objective of a training run as it stands."""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from components.evaluation.config import EvaluateConfig
from components.evaluation.objective import Objective
from components.evaluation.sides import open_sides
from components.faults import Fault
from components.models.asked import Asked
from components.models.card import GenerateConfig
from components.models.trained import Trained
from components.samples.task import Task
from components.search.ledger import Rung
from components.storage.files import listed, read_bytes, sha256_json, write_bytes
from components.storage.home import AnyPath
from components.storage.scratch import scratch
from components.systems.judge import load_judge
from components.training.run import Run

_FEATURES = Path("~/.cache/pix2pipe/features")  # of real pictures: taken once on a node


@dataclass(frozen=True)
class TrialMeasure:
    """How every trial of a search is measured; picklable and hashable.

    Attributes:
        figure: as `tune.objective`. samples: val samples, None for all.
        shards, judge: folders that every node sees. task: what is made of what.
    """

    figure: str | None
    samples: int | None
    evaluate: EvaluateConfig
    generate: GenerateConfig
    shards: AnyPath
    judge: AnyPath
    task: Task

    def __hash__(self) -> int:
        return hash((self.figure, self.samples, self.shards, self.judge, self.task))  # mixtures of styles have none


class TrialObjective:
    """Makes val pictures with the first use of a run's newest checkpoint, and measures them.

    Raises:
        Fault: the metric cannot be measured on this data.
    """

    def __init__(self, measure: TrialMeasure) -> None:
        train, val, sources = open_sides(measure.shards, measure.task, "val")
        with scratch() as name:
            for file in listed(measure.judge):
                write_bytes(Path(name) / file, read_bytes(measure.judge / file))
            judge = load_judge(Path(name))
        cache = _FEATURES.expanduser()
        self.objective = Objective(
            measure.figure, measure.evaluate, train, val, measure.task, judge, cache, measure.samples, sources
        )
        self._generate = measure.generate

    def __call__(self, run: Run) -> Rung:
        """The objective after the run's last saved step.

        Raises:
            Fault: there is no checkpoint, or the metric is not finite.
        """
        last = run.checkpoints.last()
        if last is None:
            raise Fault(f"{run.folder}: has no checkpoint to measure")
        lineage = {"checkpoint": "last", "step": last.step, "key": run.key}
        generator = Trained(last.weights(), run.system, run.shape(), run.task, self._generate, lineage).generators()[0]
        asked = self.objective.asked
        places = range(len(asked)) if asked.chosen is None else asked.chosen
        found = self.objective.measure(Asked(generator.card, asked.split).made(generator, places))
        if not all(map(math.isfinite, (found.value, found.low, found.high))):
            raise Fault(f"step {last.step}: {self.objective.figure} is not finite")
        return Rung(steps=last.step, value=found.value, low=found.low, high=found.high)


def share_judge(folder: Path, root: AnyPath) -> AnyPath:
    """Put the judge where every node sees it, below `root` by its content; gives the folder."""
    files = {name: read_bytes(folder / name) for name in listed(folder)}
    there = root / sha256_json({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})[:16]
    for name in files.keys() - listed(there).keys():
        write_bytes(there / name, files[name])
    return there


@lru_cache(maxsize=1)
def objective_of(measure: TrialMeasure) -> TrialObjective:
    """The objective, opened once in a process that runs one trial after another."""
    return TrialObjective(measure)
