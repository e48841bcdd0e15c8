"""Meter: the objective of a training run as it stands."""

import math
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from components.evaluation.config import EvaluateConfig
from components.evaluation.objective import Objective
from components.faults import Fault
from components.search.ledger import Rung
from components.shards.reader import Split
from components.systems.judge import load_judge
from components.systems.translator import GenerateConfig, Translator, export_translator
from components.training.run import Run


@dataclass(frozen=True)
class Measure:
    """How every trial of a search is measured; picklable and hashable.

    Attributes:
        figure: as `tune.objective`. samples: val samples, None for all.
        task: the domains (source, target). judge: folder of the judge.
        cache: folder where features of real pictures are kept.
    """

    figure: str | None
    samples: int | None
    evaluate: EvaluateConfig
    generate: GenerateConfig
    shards: Path
    judge: Path
    task: tuple[str, str]
    cache: Path


class Meter:
    """Translates val samples with a run's newest checkpoint and measures what comes out.

    Raises:
        Fault: the figure cannot be measured on this data.
    """

    def __init__(self, measure: Measure) -> None:
        train, val = (Split(measure.shards, name) for name in ("train", "val"))
        judge = load_judge(measure.judge)
        self.objective = Objective(
            measure.figure, measure.evaluate, train, val, measure.task, judge, measure.cache, measure.samples
        )
        self._sources = self.objective.sources
        self._generate = measure.generate

    def __call__(self, run: Run) -> Rung:
        """The objective after the run's last saved step.

        Raises:
            Fault: there is no checkpoint, or the figure is not finite.
        """
        last = run.checkpoints.last()
        if last is None:
            raise Fault(f"{run.folder}: has no checkpoint to measure")
        lineage = {"checkpoint": "last", "step": last.step, "key": run.key}
        with tempfile.TemporaryDirectory(prefix="pix2pipe-") as name:
            folder = Path(name)
            export_translator(folder, last.weights(), run.system, run.shape(), run.task, self._generate, lineage)
            translator = Translator.load(folder)
        found = self.objective.measure(translator.translate(self._sources))
        if not all(map(math.isfinite, (found.value, found.low, found.high))):
            raise Fault(f"step {last.step}: {self.objective.figure} is not finite")
        return Rung(steps=last.step, value=found.value, low=found.low, high=found.high)


@lru_cache(maxsize=1)
def meter(measure: Measure) -> Meter:
    """A meter, opened once in a process that runs one trial after another."""
    return Meter(measure)
