"""What is tried next: a function of the params and of what is known."""

import math

import pytest
from pydantic import ValidationError

from components.faults import Fault
from components.params import Params, load_params, value_at, with_values
from components.search.config import Dimension, TuneConfig
from components.search.ledger import Rung, Trial
from components.search.space import Values, check_space, extremes, grid, propose
from tests.test_graph import ROOT

SPACE = {"system.lambda_l1": Dimension(loguniform=(1, 300)), "system.patch_size": Dimension(choice=(1, 16, 70))}
START: Values = {"system.lambda_l1": 5.0, "system.patch_size": 70}


def config(**settings: object) -> TuneConfig:
    return TuneConfig.model_validate({"space": SPACE, "num_trials": 40, "max_steps": 8, "grace_steps": 2} | settings)


def distance(values: Values) -> float:
    """Least, 0, at lambda 30 and patch 16."""
    return abs(math.log(float(values["system.lambda_l1"]) / 30)) + 2 * (values["system.patch_size"] != 16)


def run_to(settings: TuneConfig, count: int, start: list[Trial] | None = None) -> list[Trial]:
    known = list(start or [])
    while len(known) < count:
        values = propose(settings, known, START, less_is_better=True)
        rung = Rung(steps=8, value=distance(values), low=0, high=9)
        known.append(Trial(number=len(known), values=values, state="finished", rungs=(rung,)))
    return known


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_search_that_was_cut_short_proposes_what_it_would_have(sampler):
    settings = config(sampler=sampler)
    whole = run_to(settings, 12)
    assert run_to(settings, 12, start=whole[:5]) == whole
    assert whole[0].values == START
    points = {tuple(trial.values.items()) for trial in whole}
    assert len(points) == 12
    for trial in whole[1:]:
        assert 1 <= float(trial.values["system.lambda_l1"]) <= 300
        assert trial.values["system.patch_size"] in (1, 16, 70)
    other = run_to(config(sampler=sampler, seed=1), 12)
    assert {tuple(trial.values.items()) for trial in other} & points == {tuple(START.items())}


def test_tpe_learns_where_the_best_lies_and_random_does_not():
    late = {
        sampler: [distance(trial.values) for trial in run_to(config(sampler=sampler, num_trials=60), 60)[40:]]
        for sampler in ("tpe", "random")
    }
    means = {sampler: sum(values) / len(values) for sampler, values in late.items()}
    assert means["tpe"] < 0.6 * means["random"]


def test_pruned_and_failed_trials_are_known_and_a_start_outside_the_space_does_no_harm():
    far: Values = {"system.lambda_l1": 1000.0, "system.patch_size": 286}
    known = [Trial(number=0, values=far, state="finished", rungs=(Rung(steps=8, value=1, low=1, high=1),))]
    for number, state in enumerate(("pruned", "failed", "running"), 1):
        values = propose(config(), known, far, less_is_better=True)
        rungs = (Rung(steps=2, value=number, low=0, high=9),) if state == "pruned" else ()
        known.append(Trial(number=number, values=values, state=state, rungs=rungs))
    assert len({tuple(trial.values.items()) for trial in known}) == 4


def test_a_grid_is_every_combination_once_and_no_more_is_asked_of_it():
    settings = config(sampler="grid", resolution=3, num_trials=9, start=False)
    points = [trial.values for trial in run_to(settings, 9)]
    assert points == grid(settings)
    assert sorted({point["system.lambda_l1"] for point in points}) == pytest.approx([1, 300**0.5, 300])
    check_space(settings)
    with pytest.raises(Fault, match=r"tune\.num_trials 10: the space has only 9 points"):
        check_space(config(sampler="grid", num_trials=10))
    choices = {"system.patch_size": Dimension(choice=(1, 16))}
    with pytest.raises(Fault, match="the space has only 2 points"):
        check_space(config(space=choices, num_trials=3))
    both = config(space=choices, num_trials=2, start=False)
    first = propose(both, [], START, less_is_better=True)
    second = propose(both, [Trial(number=0, values=first)], START, less_is_better=True)
    assert {first["system.patch_size"], second["system.patch_size"]} == {1, 16}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("train.steps", "tune.max_steps says how long"),
        ("system.name", "search one at a time"),
        ("shard.samples_per_shard", "only params of system and train"),
    ],
)
def test_what_no_search_can_decide_is_refused(path, said):
    with pytest.raises(Fault, match=rf"tune\.space\.{path}: .*{said}"):
        check_space(config(space={path: Dimension(choice=(1,))}))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"system.lamda_l1": {"uniform": [1, 2]}}, "system.lamda_l1: no such param; did you mean lambda_l1"),
        ({"system.patch_size": {"choice": [16, 17]}}, r"system.patch_size: .*given: 17"),
        ({"train.learning_rate": {"uniform": [-1, 1]}}, "train.learning_rate: Input should be greater than 0"),
        ({"system.generatr.norm": {"choice": ["batch"]}}, "system.generatr.norm: no such param"),
    ],
)
def test_the_ends_of_a_space_are_validated_as_params_before_a_trial_starts(space, said):
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(Fault, match=said):
        _validate(params, config(space=space))


def _validate(params: Params, settings: TuneConfig) -> None:
    for path, value in extremes(settings):
        with_values(params, {path: value}, "tune.space")


def test_values_at_dotted_paths():
    params = load_params(ROOT / "params.yaml")
    changed = with_values(params, {"system.lambda_l1": 7.5, "system.generator.noise": False}, "x")
    assert value_at(changed, "system.lambda_l1") == 7.5
    assert changed.system.generator.noise is False
    assert isinstance(changed, Params)
    assert with_values(params, {}, "x") == params


@pytest.mark.parametrize(
    ("dimension", "said"),
    [
        ({}, "give one of"),
        ({"uniform": [0, 1], "choice": [1]}, "give one of"),
        ({"uniform": [1, 1]}, "is not below"),
        ({"loguniform": [0, 1]}, "must be above 0"),
        ({"choice": [1, 1]}, "is given twice"),
    ],
)
def test_a_dimension_is_one_of_three(dimension, said):
    with pytest.raises(ValidationError, match=said):
        Dimension.model_validate(dimension)


def test_rungs():
    assert TuneConfig(max_steps=270, grace_steps=30, reduction_factor=3).rungs() == (30, 90, 270)
    assert TuneConfig(max_steps=300, grace_steps=30, reduction_factor=3).rungs() == (30, 90, 270, 300)
    assert TuneConfig(scheduler="none", max_steps=300).rungs() == (300,)
