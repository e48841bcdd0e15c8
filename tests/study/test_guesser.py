"""A guesser that looks at everything but the pixels does no better than a coin; and would, were there anything."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.study.config import Settings
from components.study.plan import Pair
from components.study.simulate import running
from components.study.study import Shown, Study
from tests.study.helpers import make_study

TRIALS = 50  # of one participant
DEVIATIONS = 4.0  # beyond which it is no chance


def observe(study: Study, participants: int, browse: Callable[..., Any]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """What can be seen of each pair without decoding a picture: features (n, d), the truth (n,) as ±1, and names."""
    seen: list[dict[str, float]] = []
    with running(study) as port:
        for _ in range(participants):
            client = browse(port)
            client.post("/api/join")
            for position in range(TRIALS):
                pair = client.post("/api/pair").json()
                replies, seconds = {}, {}
                # Now the one first and now the other, so that what comes second is not taken for a side.
                for side in (("left", "right"), ("right", "left"))[position % 2]:
                    began = time.perf_counter()
                    replies[side] = client.get(f"/picture/{pair[side]}")
                    seconds[side] = time.perf_counter() - began
                client.post("/api/shown", {"position": position, "name": pair["name"]})
                client.vote(position, "left")
                seen.append(features(position, pair, replies, seconds))
    truth = [1.0 if pair.real_side == "left" else -1.0 for _, _, pair, _ in study.votes.rows()]
    names = list(seen[0])
    return np.array([[row[name] for name in names] for row in seen]), np.array(truth), names


def features(
    position: int, pair: dict[str, Any], replies: dict[str, Any], seconds: dict[str, float]
) -> dict[str, float]:
    """Differences, left less right, and what the pair has as a whole."""
    left, right = replies["left"], replies["right"]
    found: dict[str, float] = {"constant": 1.0, "even place": float(position % 2), "place": float(position)}
    found["bytes"] = float(len(left.body) - len(right.body))
    found["time"] = float(np.sign(seconds["left"] - seconds["right"]))
    found["headers"] = float(len(str(left.headers)) - len(str(right.headers)))
    found["header names"] = float([n for n, _ in left.headers] != [n for n, _ in right.headers])
    found["address order"] = 1.0 if pair["left"] < pair["right"] else -1.0
    for i in range(0, 32, 8):
        found[f"address {i}"] = (int(pair["left"][i : i + 8], 16) - int(pair["right"][i : i + 8], 16)) / 2**32
    return found


def guess(seen: np.ndarray, truth: np.ndarray, names: list[str]) -> dict[str, float]:
    """Deviations from a coin, of each feature alone and of all together: learnt on one half, tried on the other."""
    half = len(truth) // 2
    scale = np.abs(seen).max(0) + 1e-12
    x = seen / scale
    rules = {name: np.sign(x[:half, i] @ truth[:half]) * x[:, i] for i, name in enumerate(names)}
    ridge = x[:half].T @ x[:half] + np.eye(x.shape[1])
    rules["all together"] = x @ np.linalg.solve(ridge, x[:half].T @ truth[:half])
    rest = truth[half:]
    found = {}
    for name, score in rules.items():
        sides = np.where(score[half:] >= 0, 1.0, -1.0)
        found[name] = float((np.sum(sides == rest) - len(rest) / 2) / np.sqrt(len(rest) / 4))
    return found


def study_of(tmp_path: Path, one: Any, participants: int) -> Study:
    return make_study(
        tmp_path / "v.db", one, Settings(practice=0, trials=TRIALS, vigilance=0, participants=participants)
    )


def is_a_coin(tmp_path: Path, one: Any, browse: Callable[..., Any], participants: int) -> None:
    seen, truth, names = observe(study_of(tmp_path, one, participants), participants, browse)
    assert len(truth) == participants * TRIALS
    assert abs(truth.sum()) == 0  # as many on either side
    for name in ("bytes", "headers", "header names"):
        assert not seen[:, names.index(name)].any(), name
    found = guess(seen, truth, names)
    assert max(found.values()) < DEVIATIONS, found


@pytest.mark.slow  # the three cases above in full
def test_two_hundred_trials(tmp_path: Path, one, browse):
    is_a_coin(tmp_path, one, browse, 4)


@pytest.mark.slow
def test_two_thousand_trials(tmp_path: Path, one, browse):
    is_a_coin(tmp_path, one, browse, 40)


@pytest.mark.parametrize("leak", ["bytes", "address order", "time"])
def test_the_guesser_finds_what_there_is_to_find(tmp_path: Path, one, browse, monkeypatch, leak):
    study = study_of(tmp_path, one, 2)
    encoded, show, picture = study.pictures.encoded, study.show, study.picture
    slow: set[str] = set()

    def longer(algorithm: str, pair: Pair) -> tuple[bytes, bytes]:
        left, right = encoded(algorithm, pair)
        return (left, right + b"\0") if pair.real_side == "left" else (left + b"\0", right)

    def telling(token: str) -> Shown | None:
        shown, standing = show(token), study.votes.standing(token)
        assert shown is not None
        assert standing is not None
        assert standing.pair is not None
        right = standing.pair.real_side == "right"
        if leak == "time":
            slow.add(shown.left if right else shown.right)
            return shown
        first, second = sorted((shown.left, shown.right), reverse=right)
        pictures = study._waiting[token]
        study._waiting[token] = {first: pictures[shown.left], second: pictures[shown.right]}
        return Shown(shown.position, first, second, shown.name)

    def late(token: str, name: str) -> bytes | None:
        time.sleep(0.05 if name in slow else 0)
        return picture(token, name)

    if leak == "bytes":
        monkeypatch.setattr(study.pictures, "encoded", longer)
    else:
        monkeypatch.setattr(study, "show", telling)
        monkeypatch.setattr(study, "picture", late)
    found = guess(*observe(study, 2, browse))
    assert found[leak] > DEVIATIONS
