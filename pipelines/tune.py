"""tune: searches for better params than those in params.yaml, by short runs."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from components.cluster.tuner import Search, search
from components.params import Params, value_at, with_values
from components.search.ledger import Ledger
from components.search.outcome import find_winner, write_outcome
from components.search.progress import SearchProgress, describe
from components.search.space import Values
from components.search.trial_objective import TrialMeasure, TrialObjective, share_judge
from components.stage import Clock, run_stage
from components.start import settled_start
from components.storage.files import sha256_json
from components.storage.home import LOCAL, AnyPath, absolute, shared
from components.storage.locks import exclusive
from components.training.run import Run, plan

SHARDS, JUDGE = Path("data/shards"), Path("data/judge")
OUT = Path("data/tune")
WHERE = "tune.space"


def main(params: Params, clock: Clock) -> None:
    """Try `tune.num_trials` configurations and write the best as data/tune/winner.yaml."""
    config = params.tune
    if not config.num_trials:
        write_outcome(OUT, config, [], None, {})
        return
    params = params.model_copy(update={"train": settled_start(params.train, params.register_.experiment)})
    whole = plan(params.system, params.train, SHARDS, LOCAL)
    places = (whole.shards, share_judge(JUDGE, absolute(shared() / "judges")), whole.task)
    measure = TrialMeasure(config.objective, config.samples, params.evaluate, params.generate, *places)
    with clock.part("open"):
        objective = TrialObjective(measure).objective
    start = {path: value_at(params, path) for path in config.space}
    key = [config.decisive(), trial_run(params, whole.shards, LOCAL, start, 0).key, objective.protocol.hash]
    folder = absolute(shared() / "tune" / sha256_json(key)[:16])
    ledger, make_run = Ledger(folder / "trials"), partial(trial_run, params, whole.shards, folder / "runs")
    work = Search(config, ledger, LOCAL / "ray", make_run, measure, start, objective.less_is_better)
    with (
        exclusive(folder / "search.lock", str(folder)),
        SearchProgress(ledger, config.num_trials, objective.figure) as progress,
        clock.part("search"),
    ):
        ray = search(work, progress)
    clock.add("ray", ray)
    clock.add("search", -ray)
    trials = [trial for trial in ledger.all() if trial.number < config.num_trials]
    winner = find_winner(config, trials, objective.less_is_better, str(folder))
    measured = {"figure": objective.figure, "less_is_better": objective.less_is_better}
    write_outcome(OUT, config, trials, winner, measured | {"protocol": objective.protocol.as_json()})
    print(f"tune: {objective.figure} {winner.value:.4g} with {describe(winner.values)}", file=sys.stderr)


def trial_run(params: Params, shards: AnyPath, runs: AnyPath, values: Values, repeat: int) -> Run:
    """The training run of a trial: the same training with other values, and short."""
    config, chosen = params.tune, with_values(params, values, WHERE)
    short: dict[str, Any] = {
        "steps": config.max_steps,
        "epochs": None,
        "checkpoint_every": config.max_steps,
        "keep_checkpoints": 1,
        "best_by": "validation",  # a trial is measured by its last checkpoint, and a KID costs time
        "seed": chosen.train.seed + repeat,
        "num_workers": config.num_workers,
        "cpus_per_worker": chosen.train.cpus_per_worker or 1,  # there are other trials beside it
    }
    train = type(chosen.train).model_validate(chosen.train.model_dump() | short)
    return plan(chosen.system, train, shards, runs)


if __name__ == "__main__":
    run_stage("tune", main)
