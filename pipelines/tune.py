"""tune: params that are better than those in params.yaml, found by short runs."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from components.cluster.tuner import Search, search
from components.files import sha256_json
from components.params import Params, value_at, with_values
from components.search.ledger import Ledger, Trial
from components.search.meter import Measure, Meter
from components.search.outcome import find_winner, write_outcome
from components.search.space import Values, check_space, extremes
from components.stage import Clock, run_stage
from components.training.run import Run, plan

SHARDS, JUDGE = Path("data/shards"), Path("data/judge")
OUT = Path("data/tune")
HOME = Path(".pix2pipe")


def main(params: Params, clock: Clock) -> None:
    """Try `tune.num_trials` configurations and write the best as data/tune/winner.yaml."""
    config = params.tune
    if not config.num_trials:
        write_outcome(OUT, config, [], None, {})
        return
    check_space(config)
    for path, value in extremes(config):
        with_values(params, {path: value}, "tune.space")
    start = {path: value_at(params, path) for path in config.space}
    measure = Measure(
        config.objective,
        config.samples,
        params.evaluate,
        params.generate,
        SHARDS.resolve(),
        JUDGE.resolve(),
        plan(params.system, params.train, SHARDS, HOME).task,
        (HOME / "cache/features").resolve(),
    )
    with clock.part("open"):
        objective = Meter(measure).objective
    first = trial_run(params, HOME, start, 0)
    key = sha256_json([config.decisive(), first.key, objective.protocol.hash])[:16]
    folder = HOME / "tune" / key
    ledger = Ledger(folder / "trials")
    make_run = partial(trial_run, params, folder / "runs")
    work = Search(config, ledger, folder, make_run, measure, start, objective.less_is_better)
    done = sum(trial.state != "running" for trial in ledger.all())
    with tqdm(total=config.num_trials, initial=done, desc="tune (resumed)" if done else "tune", unit="trial") as bar:
        clock.add("ray", search(work, partial(show, bar, objective.figure)))
    trials = [trial for trial in ledger.all() if trial.number < config.num_trials]
    winner = find_winner(config, trials, objective.less_is_better)
    measured = {"figure": objective.figure, "less_is_better": objective.less_is_better}
    write_outcome(OUT, config, trials, winner, measured | {"protocol": objective.protocol.as_json()})
    print(f"tune: the best is {describe(winner.values)}: {objective.figure} {winner.value:.4g}", file=sys.stderr)


def trial_run(params: Params, runs: Path, values: Values, repeat: int) -> Run:
    """The training run of a trial: the same training with other values, and short."""
    config = params.tune
    chosen = with_values(params, values, "tune.space")
    train: dict[str, Any] = chosen.train.model_dump() | {
        "steps": config.max_steps,
        "epochs": None,
        "checkpoint_every": config.max_steps,
        "keep_checkpoints": 1,
        "seed": chosen.train.seed + repeat,
        "num_workers": config.num_workers,
    }
    return plan(chosen.system, type(chosen.train).model_validate(train), SHARDS.resolve(), runs.resolve())


def show(bar: "tqdm[None]", figure: str, trial: Trial) -> None:
    """A line for a trial that ended."""
    found = trial.reason if trial.value is None else f"{figure} {trial.value:.4g} after {trial.steps} steps"
    name = f"trial {trial.number}" + (f" seed +{trial.repeat}" if trial.repeat else "")
    bar.write(f"tune: {name} {trial.state}: {found} ({describe(trial.values)})", file=sys.stderr)
    bar.update()


def describe(values: Values) -> str:
    """Values as a person reads them."""
    return ", ".join(
        f"{path} {value:.4g}" if isinstance(value, float) else f"{path} {value}" for path, value in values.items()
    )


if __name__ == "__main__":
    run_stage("tune", main)
