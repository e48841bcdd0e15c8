"""Tuner: a search by Ray Tune, whose memory is the ledger."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from components.cluster.bookkeeping import STEPS, VALUE, Listener, bookkeeper, searcher
from components.cluster.session import ray_session
from components.cluster.workers import Workers
from components.faults import Fault
from components.search.config import TuneConfig
from components.search.ledger import Ledger, Rung, Trial
from components.search.outcome import finalists
from components.search.space import Values, propose
from components.search.trial_objective import TrialMeasure, objective_of
from components.training.loop import fit
from components.training.run import Run

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


@dataclass(frozen=True)
class Search:
    """What is searched; picklable, since each trial gets it.

    Attributes:
        ledger: where the trials stand. folder: for Ray's own files, on this machine.
        make_run: (values, repeat) -> the training run of a trial.
        start: the present params, by the paths of the space.
    """

    config: TuneConfig
    ledger: Ledger
    folder: Path
    make_run: Callable[[Values, int], Run]
    measure: TrialMeasure
    start: Values
    less_is_better: bool


def search(work: Search, listen: Listener) -> float:
    """Bring the ledger to `num_trials` ended trials, and to `num_seeds` seeds of the finalists.

    Trials that were running when the search was killed come first, and go on from their last checkpoint.

    Args:
        listen: handed each trial when it ends.

    Returns:
        Seconds that starting and ending Ray took.

    Raises:
        Fault: the cluster is too small for a single trial.
    """
    began = time.perf_counter()
    if not _waiting(work) and not _repeats(work):
        return 0.0
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C ends the stage as it does every other
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the ledger is the log
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # which prints tables even when told to be quiet
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial is said in one line by who listens
    with ray_session(dashboard=True):  # without it Ray Tune does not get back the CPUs of trials it has ended
        started = time.perf_counter()
        if waiting := _waiting(work):
            _fit(work, _Next(work).next, waiting, _scheduler(work), listen)
        if repeats := _repeats(work):
            _fit(work, iter(repeats).__next__, len(repeats), None, listen)
        ended = time.perf_counter()
    return time.perf_counter() - began - (ended - started)


def _waiting(work: Search) -> int:
    """Trials that have not ended yet, begun or not."""
    return work.config.num_trials - sum(t.state != "running" for t in work.ledger.trials()[: work.config.num_trials])


def _repeats(work: Search) -> list[Trial]:
    """The finalists' further seeds that have not ended yet; the first time they are entered in the ledger."""
    known = {(trial.number, trial.repeat): trial for trial in work.ledger.all()}
    wanted = [
        known.get((trial.number, repeat)) or Trial(number=trial.number, repeat=repeat, values=trial.values)
        for trial in finalists(work.config, list(known.values()), work.less_is_better)
        for repeat in range(1, work.config.num_seeds)
    ]
    return [work.ledger.put(trial) for trial in wanted if trial.state == "running"]


class _Next:
    """Gives the trials that are to be run: those left running, then new ones as the sampler proposes them."""

    def __init__(self, work: Search) -> None:
        self._work = work
        self._left = [trial for trial in work.ledger.trials() if trial.state == "running"][: work.config.num_trials]

    def next(self) -> Trial:
        if self._left:
            return self._left.pop(0)
        work = self._work
        known = work.ledger.trials()
        if len(known) >= work.config.num_trials:
            raise StopIteration
        values = propose(work.config, known, work.start, work.less_is_better)
        return work.ledger.put(Trial(number=len(known), values=values))


def _scheduler(work: Search) -> "TrialScheduler | None":
    """ASHA that has seen the ended trials of the ledger; None trains every trial to the end."""
    from ray.tune.schedulers import ASHAScheduler

    config = work.config
    if config.scheduler == "none":
        return None
    scheduler = ASHAScheduler(
        time_attr=STEPS,
        metric=VALUE,
        mode="min" if work.less_is_better else "max",
        max_t=config.max_steps,
        grace_period=config.grace_steps,
        reduction_factor=config.reduction_factor,
    )
    for trial in work.ledger.trials():
        if trial.state in ("finished", "pruned"):
            stand_in = SimpleNamespace(trial_id=f"seen-{trial.number}")
            scheduler.on_trial_add(None, stand_in)
            for rung in trial.rungs:
                scheduler.on_trial_result(None, stand_in, {STEPS: rung.steps, VALUE: rung.value})
    return scheduler


def _fit(
    work: Search, take: Callable[[], Trial], count: int, scheduler: "TrialScheduler | None", listen: Listener
) -> None:
    """Run `count` trials, as many at once as the cluster can take."""
    from ray import tune

    config = work.config
    concurrent, resources = _room(work)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, work=work), resources),
        tune_config=tune.TuneConfig(
            search_alg=searcher(take),
            scheduler=scheduler,
            num_samples=count,
            max_concurrent_trials=concurrent,
            reuse_actors=config.num_workers == 0,
        ),
        run_config=tune.RunConfig(
            name=f"search-{time.time_ns()}",
            storage_path=str(work.folder.resolve()),
            failure_config=tune.FailureConfig(max_failures=0),
            callbacks=[bookkeeper(work.ledger, config.max_steps, listen)],
            verbose=0,
        ),
    )
    tuner.fit()


def _room(work: Search) -> tuple[int, dict[str, float]]:
    """How many trials run at once, and what each takes."""
    import ray

    has, config = ray.cluster_resources(), work.config
    train = work.make_run(work.start, 0).train
    cpus, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0)) if train.device != "cpu" else 0
    ranks = max(1, config.num_workers)
    shared = 1 if config.num_workers else config.trials_per_gpu
    most = gpus * shared // ranks if gpus else cpus // (ranks * max(1, train.cpus_per_worker))
    if most < 1:
        raise Fault(
            f"tune.num_workers {config.num_workers}: the cluster offers {gpus or cpus} {'GPUs' if gpus else 'CPUs'}"
        )
    concurrent = min(config.max_concurrent or most, most, config.num_trials)
    if config.num_workers:  # the ranks take the resources; what only waits for them takes none
        return concurrent, {"CPU": 0, "memory": 1}
    return concurrent, {"CPU": float(max(1, cpus // concurrent))} | ({"GPU": 1 / shared} if gpus else {})


def _trial(config: dict[str, Any], work: Search) -> None:
    """One trial: train to each rung, measure, report; Ray ends it where the scheduler says so."""
    from ray import tune

    run = work.make_run(config["values"], config["repeat"])
    known = [Rung.model_validate(rung) for rung in config["rungs"]]
    workers = Workers.of(run, f"trial {config['number']}")
    rungs = work.config.rungs() if config["repeat"] == 0 else (work.config.max_steps,)
    for steps in rungs:
        began = time.perf_counter()
        rung = next((rung for rung in known if rung.steps == steps), None)
        if rung is None:
            workers.run(partial(fit, until=steps), run)
            rung = objective_of(work.measure)(run)
        spent = time.perf_counter() - began
        tune.report({**rung.model_dump(), "seconds": spent, "key": run.key})
