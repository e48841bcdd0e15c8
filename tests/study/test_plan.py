"""What a participant sees is chance, and balanced to the one."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from components.faults import Fault
from components.study.config import Settings
from components.study.plan import make_plan
from components.study.shown import encode_picture, obvious
from tests.study.helpers import SMALL, make_study

SAMPLES = [(f"r{i}", f"f{i}") for i in range(70)]


def test_sides_and_order_are_balanced_exactly():
    full = Settings()
    places, firsts = Counter[int](), Counter[str]()
    for seed in range(300):
        plan = make_plan(full, SAMPLES, Random(seed))
        assert len(plan) == 55
        assert len({pair.real for pair in plan}) == 55
        assert all(pair.real[1:] == pair.fake[1:] for pair in plan)
        assert [pair.kind for pair in plan[:10]] == ["practice"] * 10
        sides = Counter((pair.kind, pair.real_side) for pair in plan)
        assert sides["practice", "left"] == 5
        assert sides["trial", "left"] == sides["trial", "right"] == 20
        assert sides["vigilance", "left"] in (2, 3)
        assert sides["vigilance", "left"] + sides["vigilance", "right"] == 5
        places.update(i for i, pair in enumerate(plan) if pair.kind == "vigilance")
        firsts[plan[10].real_side] += 1
    # 1,500 obvious fakes over 45 places, 33.3 in each, and the first side a coin: within four deviations of chance.
    assert set(places) == set(range(10, 55))
    assert all(abs(count - 100 / 3) < 4 * (100 / 3) ** 0.5 for count in places.values())
    assert abs(firsts["left"] - 150) < 4 * 75**0.5


def test_an_odd_number_is_rounded_by_chance():
    lefts = Counter(
        sum(pair.real_side == "left" for pair in make_plan(Settings(trials=5), SAMPLES, Random(seed))[10:])
        for seed in range(200)
    )
    odd = [make_plan(Settings(practice=3, vigilance=0), SAMPLES, Random(s))[:3] for s in range(200)]
    more = sum(sum(pair.real_side == "left" for pair in plan) == 2 for plan in odd)
    assert set(lefts) <= {4, 5, 6}
    assert 60 < more < 140


def test_algorithms_stay_even_to_within_one(tmp_path: Path, two):
    study = make_study(tmp_path / "v.db", two)
    counts = Counter[str]()
    for i in range(SMALL.participants):
        assert study.join(f"{i:032x}", None) is None
        standing = study.votes.standing(f"{i:032x}")
        assert standing is not None
        counts[standing.algorithm] += 1
        assert abs(counts["a"] - counts["b"]) <= 1
    assert study.join("f" * 32, None) == "The study has all the participants it needs. Thank you all the same."
    assert counts == {"a": 10, "b": 10}


def test_fewer_samples_than_pairs_are_refused(tmp_path: Path, one):
    with pytest.raises(Fault, match=r"would see 75 pairs, but there are only 64 test samples; .*--trials"):
        make_study(tmp_path / "v.db", one, Settings(trials=60))


def test_every_picture_has_one_length_and_is_only_its_pixels(one):
    pictures = one[1]
    sent = pictures.everything() + pictures.everything("a") + [encode_picture(obvious("x", (32, 32)))]
    assert len({len(png) for png in sent}) == 1
    assert len(set(sent)) == len(sent) == 129
    chunks = {tuple(png[i : i + 4] for i in _chunks(png)) for png in sent}
    assert chunks == {(b"IHDR", b"IDAT", b"IEND")}


def _chunks(png: bytes) -> list[int]:
    found, at = [], 8
    while at < len(png):
        found.append(at + 4)
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return found
