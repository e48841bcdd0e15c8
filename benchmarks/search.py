"""`make bench`: does ASHA find the grid's best configuration, and with how many of its steps?

The same grid is searched twice over the shards of the graph (`dvc repro judge` first): each trial to its last
step, and pruned by ASHA. The grid's best is then trained by other seeds: ASHA's winner should lie within
their noise. About ten minutes on two cores; nothing else should run beside it.
"""

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from components.cluster.tuner import Search, search
from components.params import Params, load_params, value_at, with_values
from components.search.config import TuneConfig
from components.search.ledger import Ledger, Trial
from components.search.meter import Measure, Meter, share_judge
from components.search.outcome import finalists
from components.search.progress import SearchProgress, describe
from components.search.space import size
from components.training.run import plan
from pipelines.tune import JUDGE, SHARDS, trial_run

SPACE = {
    "train.learning_rate": {"choice": [5e-5, 2e-4, 1e-3]},
    "system.lambda_l1": {"choice": [5, 30, 200]},
    "system.patch_size": {"choice": [16, 70]},
}


def run(params: Params, folder: Path, **settings: Any) -> tuple[list[Trial], float, bool]:
    """One search; its trials, its seconds, and whether less is better."""
    config = TuneConfig.model_validate(params.tune.model_dump() | settings)
    asked = params.model_copy(update={"tune": config})
    whole = plan(params.system, params.train, SHARDS, folder)
    places = (whole.shards, share_judge(JUDGE, folder.parent / "judges"), whole.task)
    measure = Measure(config.objective, config.samples, params.evaluate, params.generate, *places)
    objective = Meter(measure).objective
    start = {path: value_at(params, path) for path in config.space}
    ledger, make_run = Ledger(folder / "trials"), partial(trial_run, asked, whole.shards, folder / "runs")
    work = Search(config, ledger, folder, make_run, measure, start, objective.less_is_better)
    began = time.perf_counter()
    with SearchProgress(ledger, config.num_trials, objective.figure) as progress:
        search(work, progress)
    return ledger.trials(), time.perf_counter() - began, objective.less_is_better


def main() -> None:
    """Search twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--steps", type=int, default=90, help="of a trial (default 90); ASHA begins at a ninth")
    parser.add_argument("--seeds", type=int, default=4, help="runs of the grid's best (default 4)")
    arguments = parser.parse_args()
    params = load_params(arguments.params)
    space = TuneConfig.model_validate({"space": SPACE, "sampler": "grid"})
    common = {
        "space": SPACE,
        "sampler": "grid",
        "start": False,
        "num_trials": int(size(space)),
        "max_steps": arguments.steps,
        "grace_steps": max(1, arguments.steps // 9),
        "reduction_factor": 3,
        "num_seeds": 1,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, slow, less = run(params, folder / "grid", **common, scheduler="none")
        pruned, fast, _ = run(params, folder / "asha", **common, scheduler="asha")
        config = TuneConfig.model_validate(common)
        best, found = (finalists(config, trials, less)[0] for trials in (whole, pruned))
        again = {path: {"choice": [value]} for path, value in best.values.items()}
        values = [best.rungs[-1].value]
        for seed in range(1, arguments.seeds):
            other = with_values(params, {"train.seed": params.train.seed + seed}, "--seeds")
            once = common | {"space": again, "num_trials": 1, "scheduler": "none"}
            trials, *_ = run(other, folder / f"seed{seed}", **once)
            values.append(trials[0].rungs[-1].value)
    steps = [sum(trial.steps for trial in trials) for trials in (whole, pruned)]
    print(
        f"grid: {len(whole)} trials, {steps[0]} steps, {slow:.0f} s; best {best.value:.4g} with {describe(best.values)}"
    )
    ended = sum(trial.state == "pruned" for trial in pruned)
    print(
        f"asha: {ended} of {len(pruned)} pruned, {steps[1]} steps ({100 * steps[1] / steps[0]:.0f} % of the grid's), "
        f"{fast:.0f} s; best {found.value:.4g} with {describe(found.values)}"
    )
    spread = statistics.stdev(values)
    print(
        f"seeds of the grid's best: {', '.join(f'{value:.4g}' for value in values)} (standard deviation {spread:.2g})"
    )
    twin = next(trial for trial in whole if trial.values == found.values)
    ranked = sorted((t.rungs[-1].value for t in whole if t.rungs), reverse=not less)
    print(f"asha's best is number {ranked.index(twin.rungs[-1].value) + 1} of the grid's, {twin.value:.4g} there")


if __name__ == "__main__":
    main()
