"""Small searches for the tests."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

from components.cluster.tuner import Search
from components.evaluation.config import EvaluateConfig
from components.models.card import GenerateConfig
from components.search.config import TuneConfig
from components.search.ledger import Ledger
from components.search.space import Values
from components.search.trial_objective import TrialMeasure
from components.storage.files import write_json
from components.training.run import Run
from tests.conftest import TO_PHOTO
from tests.training.helpers import small_run

DEADLY, HUGE = 0.007, 1e30  # learning rates: one kills the process of its trial, the other gives NaN
SPACE = {"train.learning_rate": {"loguniform": [1e-4, 1e-2]}, "system.patch_size": {"choice": [1, 16]}}
START = {"train.learning_rate": 1e-3, "system.patch_size": 16}


def make_run(shards: Path, runs: Path, config: TuneConfig, values: Values, repeat: int) -> Run:
    """A run of `small_run` with the learning rate of a trial."""
    rate, steps = float(values["train.learning_rate"]), config.max_steps
    if rate == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return small_run(
        shards,
        runs,
        learning_rate=rate,
        steps=steps,
        checkpoint_every=steps,
        seed=repeat,
        num_workers=config.num_workers,
    )


def small_search(shards: Path, folder: Path, **config: Any) -> Search:
    """A search by L1 over runs of a few thousand weights, 2, 4 and 8 steps long."""
    write_json(folder / "no-judge/judge.json", {"skipped": "L1 needs none"})
    settings = {
        "space": SPACE,
        "objective": "l1",
        "num_trials": 5,
        "max_steps": 8,
        "grace_steps": 2,
        "max_concurrent": 2,
    }
    tune = TuneConfig.model_validate(settings | {"reduction_factor": 2} | config)
    measure = TrialMeasure(
        tune.objective,
        tune.samples,
        EvaluateConfig(num_bootstrap=40),
        GenerateConfig(),
        shards,
        folder / "no-judge",
        TO_PHOTO,
    )
    run = partial(make_run, shards, folder / "runs", tune)
    return Search(tune, Ledger(folder / "trials"), folder, run, measure, dict(START), True)
