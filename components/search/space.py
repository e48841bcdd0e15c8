"""The space of a search: which points it has, and which is tried next."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from components.faults import Fault
from components.search.config import Dimension, Scalar, TuneConfig
from components.search.ledger import Trial

if TYPE_CHECKING:
    import optuna

Values = dict[str, Scalar | None]
SECTIONS = ("system", "train")
_SETTLED = {
    "system.name": "each system has params of its own; search one at a time",
    "train.steps": "tune.max_steps says how long a trial is",
    "train.epochs": "tune.max_steps says how long a trial is",
    "train.checkpoint_every": "a trial is kept at each of its rungs",
    "train.seed": "tune.num_seeds says how many seeds the best are tried with",
}
_TRIES = 100


def check_space(config: TuneConfig) -> None:
    """Refuse paths that cannot be searched, and more trials than there are points.

    Raises:
        Fault: naming the path, or how many points there are.
    """
    for path in config.space:
        if path in _SETTLED:
            raise Fault(f"tune.space.{path}: cannot be searched: {_SETTLED[path]}")
        if path.partition(".")[0] not in SECTIONS:
            raise Fault(f"tune.space.{path}: only params of {' and '.join(SECTIONS)} can be searched")
    points = size(config)
    if config.num_trials > points:
        raise Fault(
            f"tune.num_trials {config.num_trials}: the space has only {points:.0f} points; ask for at most that many"
        )


def size(config: TuneConfig) -> float:
    """How many points the sampler can give."""
    if config.sampler != "grid" and any(dimension.choice is None for dimension in config.space.values()):
        return math.inf
    return math.prod(len(_grid(dimension, config.resolution)) for dimension in config.space.values())


def extremes(config: TuneConfig) -> Iterable[tuple[str, Scalar]]:
    """Every choice and both bounds of every range, with its path: what must be valid before a trial starts."""
    for path, dimension in config.space.items():
        bounds = dimension.choice or dimension.uniform or dimension.loguniform or ()
        yield from ((path, value) for value in bounds)


def propose(config: TuneConfig, known: list[Trial], start: Values, less_is_better: bool) -> Values:
    """The next point to try: a function of the params and the trials so far, with no other state.

    Args:
        known: the trials so far, finished or not, in order. start: the params as they stand.
    """
    taken = [trial.values for trial in known]
    if config.start and not known:
        return dict(start)
    if config.sampler == "grid":
        return next(point for point in grid(config) if point not in taken)
    for attempt in range(_TRIES):
        study = _study(config, known, less_is_better, attempt)
        point = study.ask(_distributions(config)).params
        if point not in taken:
            return point
    return next(point for point in grid(config) if point not in taken)


def grid(config: TuneConfig) -> list[Values]:
    """Every combination of values, `resolution` of them in a continuous dimension, in an order drawn by the seed."""
    axes = [_grid(dimension, config.resolution) for dimension in config.space.values()]
    points = [dict(zip(config.space, combination, strict=True)) for combination in itertools.product(*axes)]
    order = np.random.default_rng(config.seed).permutation(len(points))
    return [points[i] for i in order]


def _grid(dimension: Dimension, resolution: int) -> list[Scalar]:
    if dimension.choice is not None:
        return list(dimension.choice)
    if dimension.uniform is not None:
        return [float(value) for value in np.linspace(*dimension.uniform, resolution)]
    assert dimension.loguniform is not None
    return [float(value) for value in np.geomspace(*dimension.loguniform, resolution)]


def _distributions(config: TuneConfig) -> "dict[str, optuna.distributions.BaseDistribution]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    def one(dimension: Dimension) -> "optuna.distributions.BaseDistribution":
        if dimension.choice is not None:
            return CategoricalDistribution(dimension.choice)
        low, high = dimension.uniform or dimension.loguniform or (0, 0)
        return FloatDistribution(low, high, log=dimension.loguniform is not None)

    return {path: one(dimension) for path, dimension in config.space.items()}


def _study(config: TuneConfig, known: list[Trial], less_is_better: bool, attempt: int) -> "optuna.Study":
    """An Optuna study that has seen the known trials; its draws depend on their number, so none comes twice."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int(np.random.SeedSequence([config.seed, len(known), attempt]).generate_state(1)[0])
    startup = max(2, min(10, config.num_trials // 3))  # trials at random before the model of TPE is asked
    sampler = (
        optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
        if config.sampler == "tpe"
        else optuna.samplers.RandomSampler(seed=seed)
    )
    study = optuna.create_study(direction="minimize" if less_is_better else "maximize", sampler=sampler)
    distributions = _distributions(config)
    for trial in known:
        if all(_inside(distribution, trial.values[path]) for path, distribution in distributions.items()):
            study.add_trial(_seen(trial, distributions))
    return study


def _inside(distribution: Any, value: Scalar | None) -> bool:
    """Whether a value is within the space; the present params may be outside."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return value in choices
    return isinstance(value, int | float) and bool(distribution.low <= value <= distribution.high)


def _seen(trial: Trial, distributions: Mapping[str, Any]) -> "optuna.trial.FrozenTrial":
    import optuna

    states = optuna.trial.TrialState
    state = {"finished": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}.get(
        trial.state, states.RUNNING
    )
    return optuna.trial.create_trial(
        state=state,
        params={path: trial.values[path] for path in distributions},
        distributions=dict(distributions),
        value=trial.rungs[-1].value if state == states.COMPLETE else None,
        intermediate_values={rung.steps: rung.value for rung in trial.rungs},
    )
