"""The figure is of persons, and is what simulated persons of known acuity were made to give."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import beta

from components.faults import Fault
from components.study.config import Settings
from components.study.result import FIGURE, as_lines, make_result
from components.study.simulate import Crowd, simulate
from components.study.study import Study
from components.study.votes import Vote, Votes
from pipelines.cli import main
from tests.study.helpers import make_study


def take_part(study: Study, number: int, wrong: dict[str, int], answers: int | None = None) -> None:
    """A participant who errs in the first so many pairs of each kind, and leaves after some answers."""
    token = f"{number:032x}"
    assert study.join(token, None) is None
    left = dict(wrong)
    for position in range(study.settings.pairs if answers is None else answers):
        standing = study.votes.standing(token)
        assert standing is not None
        assert standing.pair is not None
        side = standing.pair.real_side
        if left.get(standing.pair.kind, 0):
            left[standing.pair.kind] -= 1
            side = "left" if side == "right" else "right"
        assert study.begin_exposure(token, position, "0" * 32)
        assert study.answer(token, position, Vote(side, 1000.5, 700.0)) is not None


def test_who_counts(tmp_path: Path, one):
    study = make_study(tmp_path / "v.db", one)
    take_part(study, 0, {"trial": 3, "practice": 2})
    take_part(study, 1, {"trial": 0})
    take_part(study, 2, {"trial": 6, "vigilance": 1})  # set aside: 0 may be missed
    take_part(study, 3, {"trial": 6}, answers=9)  # left before the last pair
    take_part(study, 4, {}, answers=0)
    result = make_result(study.votes)
    row = result["algorithms"]["a"]
    assert (row["participants"], row["set_aside"], row["incomplete"]) == (2, 1, 2)
    assert row[FIGURE]["value"] == 25.0  # of 50 and 0
    # 3 of 12 votes: the closed form of Clopper and Pearson by the beta distribution.
    low, high = 100 * beta.ppf(0.025, 3, 10), 100 * beta.ppf(0.975, 4, 9)
    assert row[FIGURE]["low"] == pytest.approx(min(0.0, low))
    assert row[FIGURE]["high"] == pytest.approx(max(50.0, high))
    assert row[FIGURE]["note"] == "few: 2 participants"
    assert result["exposure_ms"]["value"] == 1000.5
    # Nothing of it is lost: the votes of those who do not count are there.
    assert sum(vote is not None for *_, vote in study.votes.rows()) == 10 + 10 + 10 + 9
    json.dumps(result, allow_nan=False)
    assert "25.0 " in as_lines(result)[1]
    assert "±" not in as_lines(result)[1]  # of two people


def test_two_people_who_agree_are_not_sure(tmp_path: Path, one):
    study = make_study(tmp_path / "v.db", one)
    for number in range(2):
        take_part(study, number, {"trial": 0})
    figure = make_result(study.votes)["algorithms"]["a"][FIGURE]
    assert (figure["value"], figure["low"]) == (0.0, 0.0)
    assert figure["high"] == pytest.approx(100 * (1 - 0.025 ** (1 / 12)))


def test_the_interval_is_that_of_drawing_persons(tmp_path: Path, one):
    """Persons who differ much: votes drawn one by one would give a far narrower interval."""
    study = make_study(tmp_path / "v.db", one)
    fooled = [0, 6] * 10
    for number, wrong in enumerate(fooled):
        take_part(study, number, {"trial": wrong})
    figure = make_result(study.votes)["algorithms"]["a"][FIGURE]
    by_person = 50 / 20**0.5
    by_vote = 50 / 120**0.5
    assert figure["value"] == 50.0
    assert abs(figure["std"] - by_person) < 0.05 * by_person
    assert figure["std"] > 2 * by_vote
    assert 0.8 < (figure["high"] - figure["low"]) / 2 / (1.96 * by_person) < 1.2


def test_an_empty_study_has_no_figure(tmp_path: Path, one):
    study = make_study(tmp_path / "v.db", one)
    result = make_result(study.votes)
    assert FIGURE not in result["algorithms"]["a"]
    assert as_lines(result)[1].split() == ["a", "-", "-", "0", "0", "0"]
    with pytest.raises(Fault, match="there is no study in it"):
        make_result(Votes(tmp_path / "new.db"))


@pytest.mark.slow  # forty seconds of scripted participants
def test_simulated_rates_are_recovered(two):
    """Through the real server: 5 % and 50 % fooled, with some who press keys blindly and some who leave."""
    settings = Settings(practice=0, trials=12, vigilance=3, max_missed=0, participants=16)
    acuity = {"a": 0.95, "b": 0.5}
    result = simulate(settings, *two, Crowd(16, acuity, careless=0.125, leaving=0.125), seed=3)
    rows = result["algorithms"]
    assert sum(row["participants"] + row["set_aside"] + row["incomplete"] for row in rows.values()) == 16
    assert sum(row["incomplete"] for row in rows.values()) == 2
    assert 1 <= sum(row["set_aside"] for row in rows.values()) <= 2  # who guesses passes three in 1 of 8
    for name, row in rows.items():
        assert row[FIGURE]["low"] <= 100 * (1 - acuity[name]) <= row[FIGURE]["high"], name
    assert rows["a"][FIGURE]["high"] < rows["b"][FIGURE]["low"]


def test_the_command_writes_metrics(tmp_path: Path, two, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    study = make_study(tmp_path / ".pix2pipe/study/votes.db", two)
    for number in range(4):
        take_part(study, number, {"trial": number})
    main(["study", "result"])
    written = json.loads((tmp_path / "data/study/result.json").read_text())
    assert written == make_result(study.votes)
    assert "participants" in capsys.readouterr().out
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (tmp_path / "dvc.yaml").write_text("metrics:\n  - data/study/result.json\n")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "metrics", "show", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shown = next(iter(json.loads(done.stdout).values()))["data"]["data/study/result.json"]["data"]
    assert shown["algorithms"]["a"][FIGURE]["value"] == written["algorithms"]["a"][FIGURE]["value"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study", "result", "--votes", "none.db"], r"none\.db: not found; start a study"),
        (["study", "serve", "--algorithm", "x"], r"--algorithm x: give NAME=PATH or NAME=MODEL@VERSION"),
        (["study", "serve", "--algorithm", "x=nowhere"], r"nowhere: is neither a folder of generated pictures"),
        (["study", "serve"], r"data/generated: is neither a folder of generated pictures"),
        (["study", "serve", "--trials", "0"], r"--trials 0: .*greater than or equal to 1"),
        (["study", "simulate", "--max-missed", "-1"], r"--max-missed -1: .*greater than or equal to 0"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path: Path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        main(arguments)
