"""`make bench`: does ASHA find the grid's best configuration, and with how many of its steps?

The same grid of 108 configurations of a small pix2pix is searched twice over generated tiles: each trial to its
last step, and pruned by ASHA. The grid's best is then trained by other seeds: ASHA's best should lie within
their noise. About four minutes on two cores.
"""

import statistics
import tempfile
import time
from pathlib import Path

from components.cluster.tuner import search
from components.search.ledger import Trial
from components.search.outcome import finalists
from components.search.progress import SearchProgress, describe
from components.search.trial_objective import meter
from components.training.group import Group
from components.training.loop import fit
from tests.conftest import write_tiny
from tests.search.helpers import small_search

SPACE = {
    "train.learning_rate": {"choice": [1e-4 * 500 ** (i / 53) for i in range(54)]},
    "system.patch_size": {"choice": [1, 16]},
}
TRIALS = {"space": SPACE, "sampler": "grid", "start": False, "num_trials": 108, "max_steps": 80}
ASHA = {"grace_steps": 5, "reduction_factor": 4}


def main() -> None:
    """Search twice and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = write_tiny(folder / "shards")
        found: dict[str, list[Trial]] = {}
        for scheduler in ("none", "asha"):
            work = small_search(shards, folder / scheduler, scheduler=scheduler, **TRIALS, **ASHA)
            began = time.perf_counter()
            with SearchProgress(work.ledger, work.config.num_trials, "l1") as progress:
                search(work, progress)
            found[scheduler] = work.ledger.trials()
            best = finalists(work.config, found[scheduler], less_is_better=True)[0]
            steps = sum(trial.steps for trial in found[scheduler])
            share = steps / sum(trial.steps for trial in found["none"])
            ended = sum(trial.state == "pruned" for trial in found[scheduler])
            print(
                f"{scheduler}: {ended} of {len(found[scheduler])} pruned, {steps} steps ({100 * share:.0f} %), "
                f"{time.perf_counter() - began:.0f} s; best l1 {best.value:.4g} with {describe(best.values)}",
                flush=True,
            )
        best = finalists(work.config, found["none"], less_is_better=True)[0]
        values = [best.rungs[-1].value]
        for seed in (1, 2, 3):
            run = work.make_run(best.values, seed)
            fit(run, Group())
            values.append(meter(work.measure)(run).value)
    spread = statistics.stdev(values)
    print(
        f"seeds of the grid's best: {', '.join(f'{value:.4g}' for value in values)} (standard deviation {spread:.2g})"
    )


if __name__ == "__main__":
    main()
