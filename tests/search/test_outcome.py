"""Who wins, and what is written of it."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import evaluate
from components.evaluation.objective import Objective
from components.faults import Fault
from components.models.card import GenerateConfig
from components.search.config import TuneConfig
from components.search.ledger import Ledger, Rung, Trial
from components.search.outcome import find_winner, read_trials, read_winner, write_outcome
from components.search.space import propose
from components.search.trial_objective import TrialMeasure
from components.shards.reader import Split
from components.shards.writer import write_set
from tests.conftest import TO_LABELS, TO_PHOTO
from tests.stage_outputs import write_search

CONFIG = TuneConfig(num_seeds=3, finalists=2, max_steps=40, grace_steps=10)


def trial(number: int, *values: float, repeat: int = 0, state: str = "finished") -> Trial:
    rungs = tuple(Rung(steps=s, value=v, low=v - 1, high=v + 1) for s, v in zip((10, 40), values, strict=False))
    return Trial(number=number, repeat=repeat, values={"system.lambda_l1": float(number)}, state=state, rungs=rungs)


def repeats(number: int, *values: float) -> list[Trial]:
    ends = [Rung(steps=40, value=v, low=v, high=v) for v in values]
    return [trial(number, repeat=i).model_copy(update={"rungs": (end,)}) for i, end in enumerate(ends, 1)]


def test_the_winner_is_the_best_by_the_mean_of_its_seeds():
    lucky, steady = trial(0, 1, 9), trial(1, 1, 8)
    trials = [lucky, steady, *repeats(0, 1, 2), *repeats(1, 7, 9), trial(2, 99, state="pruned")]
    winner = find_winner(CONFIG, trials, less_is_better=False)
    assert (winner.number, winner.value, winner.seeds) == (1, 8, 3)
    low, high = stats.t.interval(0.95, 2, loc=8, scale=stats.sem([8, 7, 9]))
    assert (winner.low, winner.high) == pytest.approx((low, high))
    assert find_winner(CONFIG, trials, less_is_better=True).number == 0


def test_a_finalist_that_fails_with_a_seed_is_out_and_so_is_one_pruned_early():
    failed = trial(0, repeat=1, state="failed")
    trials = [
        trial(0, 1, 9),
        failed,
        *repeats(0, 9)[:0],
        trial(1, 1, 3),
        *repeats(1, 3, 3),
        trial(2, 50, state="pruned"),
    ]
    assert find_winner(CONFIG, trials, less_is_better=False).number == 1


def test_where_all_failed_the_first_reason_is_said():
    gone = trial(0, state="failed").model_copy(update={"reason": "its process died"})
    with pytest.raises(Fault, match="none of the 1 trials can win; the first failure: its process died"):
        find_winner(CONFIG, [gone], less_is_better=False)


def test_the_fragment_comes_back_as_it_was_written(tmp_path):
    write_search(tmp_path)
    assert read_winner(tmp_path) == {"system.lambda_l1": 3.0, "system.adversarial": "hinge"}
    assert (tmp_path / "winner.yaml").read_text() == "system:\n  adversarial: hinge\n  lambda_l1: 3.0\n"
    write_outcome(tmp_path, TuneConfig(), [], None, {})
    assert read_winner(tmp_path) == {}
    for text in ("- 1\n", "a: [\n"):
        (tmp_path / "winner.yaml").write_text(text)
        with pytest.raises(Fault, match=r"winner\.yaml: not .*dvc repro -f tune"):
            read_winner(tmp_path)
    with pytest.raises(Fault, match="run dvc repro tune"):
        read_winner(tmp_path / "nowhere")


def test_a_param_that_is_null_as_it_stands_can_be_searched_and_win(tmp_path):
    path, ledger = "train.learning_rate", Ledger(tmp_path / "trials")
    config = TuneConfig.model_validate({"num_trials": 2, "num_seeds": 1, "space": {path: {"loguniform": [1e-4, 1e-2]}}})
    start = propose(config, [], {path: None}, False)  # null: as published
    for values, value in ((start, 2.0), (propose(config, [Trial(number=0, values=start)], {path: None}, False), 1.0)):
        number = len(ledger.trials())
        rung = Rung(steps=config.max_steps, value=value, low=0, high=3)
        ledger.put(Trial(number=number, values=values, state="finished", rungs=(rung,)))
    write_outcome(tmp_path, config, ledger.all(), find_winner(config, ledger.all(), False, ""), {})
    assert read_winner(tmp_path) == {path: None}
    assert read_trials(tmp_path)[0][path] == "null"


def test_a_damaged_page_of_the_ledger_is_named(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.put(trial(0, 1))
    (tmp_path / "0000_0.json").write_text('{"number": "x"}')
    with pytest.raises(Fault, match=r"0000_0\.json: not a trial"):
        ledger.all()


@pytest.mark.parametrize("figure", ["l1", "psnr", "fid_efficientnet_lite0", "kid_efficientnet_lite0"])
def test_an_objective_is_the_figure_that_evaluate_gives(tiny_shards, tmp_path, figure):
    train, test = Split(tiny_shards, "train"), Split(tiny_shards, "test")
    random = np.random.default_rng(0)
    made = np.stack([test.picture(i, "photo") for i in range(len(test))]) // 2 + random.integers(
        0, 99, (8, 32, 32, 3), np.uint8
    )
    samples = [(key, {"photo": picture}) for key, picture in zip(test.keys, made, strict=True)]
    domains = {"photo": test.domains["photo"]}
    write_set(tmp_path / "made", "tiny", domains, TO_PHOTO, {"test": samples})
    config, task = EvaluateConfig(num_bootstrap=40, is_splits=2), TO_PHOTO
    whole = evaluate(config, train, test, Split(tmp_path / "made", "test"), task, None)
    found = Objective(figure, config, train, test, task, None).measure(made)
    expected = whole.metrics["rows"]["model"][figure]
    assert (found.value, found.low, found.high) == pytest.approx((expected["value"], expected["low"], expected["high"]))


def test_some_samples_are_a_protocol_of_their_own_and_the_rest_is_not_looked_at(tiny_shards):
    train, test = Split(tiny_shards, "train"), Split(tiny_shards, "test")
    config, task = EvaluateConfig(num_bootstrap=40), TO_PHOTO
    whole, part = (Objective("l1", config, train, test, task, None, samples=n) for n in (None, 3))
    assert len(part.asked) == 3
    truth = np.stack([test.picture(i, "photo") for i in (0, 4, 7)])
    assert part.measure(truth).value == 0
    assert part.protocol.hash != whole.protocol.hash == Objective("l1", config, train, test, task, None).protocol.hash
    with pytest.raises(Fault, match="8 generated pictures for 3 samples of test"):
        part.measure(np.zeros((8, 32, 32, 3), np.uint8))


def test_measures_may_be_kept_whatever_mixture_of_styles_they_ask_for():
    def measure(**style: float) -> TrialMeasure:
        return TrialMeasure(None, 4, EvaluateConfig(), GenerateConfig(style=style), Path("a"), Path("b"), TO_PHOTO)

    assert len({measure(), measure(), measure(brick=1.0), measure(brick=1.0)}) == 2


def test_a_figure_that_cannot_be_measured_is_refused_with_those_that_can(tiny_shards):
    train, test = Split(tiny_shards, "train"), Split(tiny_shards, "test")
    config = EvaluateConfig(num_bootstrap=40)
    with pytest.raises(Fault, match=r"fcn_class_iou cannot be measured here \(no judge.*it is one of fid_eff.*l1"):
        Objective("fcn_class_iou", config, train, test, TO_PHOTO, None)
    assert Objective(None, config, train, test, TO_LABELS, None).figure == "labels_class_iou"
    assert Objective(None, config, train, test, TO_PHOTO, None).figure == "kid_efficientnet_lite0"
