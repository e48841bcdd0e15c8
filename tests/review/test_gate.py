"""The gate: what a difference over the same images says, rule by rule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.evaluation.config import EvaluateConfig, InceptionWeights
from components.evaluation.intervals import draws, mean_figure
from components.models.card import Card
from components.review.config import ReviewConfig, figure_names
from components.review.gate import judge, words
from components.review.measured import MeasuredVersion
from components.samples.domain import Domain
from components.samples.task import Task
from components.tracking.versions import Version
from tests.stage_outputs import SYSTEM

PHOTO = Domain(kind="image", size=(32, 32))
PSNR = ReviewConfig(require=("psnr",), no_worse_than={"l1": 0.5}, floors={"psnr": "mean_colour"})
_HARD = np.random.default_rng(0).normal(0, 4, 100)  # how hard each of 100 test images is, for any model


def kept(number: int, psnr: float = 20.0, l1: float = 9.0, protocol: str = "a", **card: Any) -> MeasuredVersion:
    """A version whose figures are means over 100 images that are as hard for it as for any other."""
    own = np.random.default_rng(number).normal(0, 0.2, 100)
    counts = draws(100, 400, 0)
    places = {"model/psnr": psnr + _HARD + own, "model/l1": l1 - _HARD + own, "mean_colour/psnr": 12 + _HARD}
    figures = {place: mean_figure(torch.from_numpy(values), counts) for place, values in places.items()}
    rows: dict[str, Any] = {"model": {}, "mean_colour": {}}
    for place, figure in figures.items():
        row, name = place.split("/")
        rows[row][name] = figure.as_json()
    values = {
        "system": SYSTEM,
        "use": "generator",
        "source": PHOTO,
        "target": PHOTO,
        "task": Task(source="map", target="photo"),
        "mode": "eval",
        "batch_size": 4,
        "checkpoint": "last",
        "step": 4,
        "key": "k",
        "weights_sha256": "w",
    }
    measured = {"protocol": {"hash": protocol, "seed": protocol}, "rows": rows, "skipped": {"fcn": "no judge"}}
    version = Version("tiny", number, (), {}, "", "", "run", 0)
    replicates = {place: figure.replicates for place, figure in figures.items() if figure.replicates is not None}
    return MeasuredVersion(version, Path(), Card.model_validate(values | card), measured, replicates)


def test_pairing_tells_apart_what_intervals_of_each_alone_do_not() -> None:
    better, champion = kept(2, psnr=20.4), kept(1)
    alone = [each.measured["rows"]["model"]["psnr"] for each in (better, champion)]
    assert alone[0]["low"] < alone[1]["value"] < alone[0]["high"]  # each interval is over a decibel wide
    verdict = judge(better, champion, PSNR)
    assert (verdict.word, verdict.passed) == ("better", True)
    gain = next(each.gain for each in verdict.differences if each.figure == "psnr")
    assert gain.low > 0.3
    assert gain.high < 0.5
    assert judge(champion, better, PSNR).word == "worse"


def test_the_sign_follows_the_figure() -> None:
    verdict = judge(kept(2, l1=8.0), kept(1), ReviewConfig(require=("l1",)))
    assert verdict.word == "better"
    assert verdict.differences[1].gain.value == pytest.approx(1.0, abs=0.1)


def test_noise_alone_cannot_be_told() -> None:
    told = [judge(kept(number, psnr=20.0), kept(1), PSNR).word for number in range(2, 42)]
    # both directions of chance together: 5 in 100 are expected
    assert told.count("can't be told") >= 33


def test_a_margin_is_held_broken_or_open() -> None:
    words_of = {}
    for l1, word in ((9.1, "better"), (9.5, "can't be told"), (10.5, "worse")):
        verdict = judge(kept(2, psnr=21, l1=l1), kept(1), PSNR)
        words_of[word] = verdict.reasons[0]
        assert verdict.word == word, l1
    assert words_of["worse"].startswith("l1: worse by 1.5")
    assert "only 0.5 worse is allowed" in words_of["can't be told"]


def test_a_floor_is_asked_of_the_first_version_too() -> None:
    first = judge(kept(1), None, PSNR)
    assert (first.word, first.passed) == ("no champion yet", True)
    poor = judge(kept(1, psnr=11), None, PSNR)
    assert (poor.word, poor.passed) == ("no champion yet", False)
    assert poor.reasons[0].startswith("psnr: worse than the row mean_colour by 1")
    assert judge(kept(2, psnr=11.5), kept(1, psnr=10.5), PSNR).word == "worse"  # better than the champion, and no good


def test_figures_of_two_protocols_are_not_compared() -> None:
    verdict = judge(kept(2, protocol="b", psnr=30), kept(1), PSNR)
    assert (verdict.word, verdict.passed, verdict.differences) == ("not comparable", False, ())
    assert "tiny version 2 and tiny version 1 were measured differently (seed)" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"task": Task(source="photo", target="map")}, "what is made"),
        ({"target": PHOTO.at((64, 64))}, "the size"),
        (
            {"source": Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1)), size=(32, 32))},
            "what map is",
        ),
    ],
)
def test_another_task_is_said(changed: dict[str, Any], said: str) -> None:
    verdict = judge(kept(2, **changed), kept(1), PSNR)
    assert verdict.word == "not comparable"
    assert verdict.other_task
    assert said in verdict.reasons[0]


def test_what_is_not_measured_here_is_set_aside_and_never_enough() -> None:
    rules = ReviewConfig(require=("psnr", "fcn_class_iou"), floors={"fcn_class_iou": "mean_colour"})
    verdict = judge(kept(2, psnr=21), kept(1), rules)
    assert verdict.word == "better"
    assert "fcn_class_iou: not measured of map_to_photo (no judge)" in verdict.reasons
    alone = judge(kept(2, psnr=21), kept(1), ReviewConfig(require=("fcn_class_iou",)))
    assert (alone.word, alone.passed) == ("can't be told", False)


def test_the_same_figures_are_no_better() -> None:
    verdict = judge(kept(1), kept(1), PSNR)
    assert verdict.word == "can't be told"
    assert words(verdict.differences[0].gain, -1) == "0 (0 to 0)"


def test_names_of_figures_follow_the_params_of_evaluate() -> None:
    assert "fid" not in figure_names(EvaluateConfig())
    assert "fid" in figure_names(EvaluateConfig(inception=InceptionWeights(path="x", sha256="0" * 64)))
    with pytest.raises(ValueError, match=r"review.floors: evaluate has no metric psnrr; did you mean psnr\?"):
        ReviewConfig(floors={"psnrr": "input"}).require_known(EvaluateConfig())
