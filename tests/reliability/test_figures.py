"""FID, KID and the Inception Score of sets that no figure should be made of, or none without a word beside it."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from components.evaluation.cache import FeatureCache
from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import evaluate
from components.evaluation.features import FeatureNetwork, efficientnet_lite0
from components.evaluation.frechet import frechet, frechet_distance
from components.evaluation.inception_score import inception_score
from components.evaluation.intervals import draws
from components.evaluation.kid import kid
from components.evaluation.objective import Objective
from components.evaluation.protocol import NetworkProtocol
from components.faults import Fault
from components.shards.reader import Split
from tests.conftest import TO_PHOTO
from tests.evaluation.test_evaluate import generate

PROMISE = pytest.mark.promise(
    "16 FID, KID, IS of few, equal, flat, NaN or odd-sized images: refused or flagged, equal sets at 0"
)
CONFIG = EvaluateConfig(num_bootstrap=40)
FIGURES = {
    "distances": ("fid_efficientnet_lite0", "kid_efficientnet_lite0"),
    "score": "inception_score_efficientnet_lite0",
}


@pytest.fixture(scope="module")
def network() -> Iterator[FeatureNetwork]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield efficientnet_lite0()
    torch.set_num_threads(threads)


def refuses(make: Callable[[], object]) -> bool:
    """Whether a Fault of one line is the answer."""
    try:
        make()
    except Fault as fault:
        return "\n" not in str(fault)
    return False


def some(seed: int, images: int, dimensions: int) -> torch.Tensor:
    """Features as a network with ReLUs gives them: none below 0, of unlike sizes."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.normal(0, 2, dimensions))
    return torch.from_numpy(np.maximum(rng.normal(0.5, 1, (images, dimensions)) * sizes, 0)).float()


def distance(first: torch.Tensor, second: torch.Tensor, name: str) -> float:
    if name == "FID":
        return frechet_distance(first, second)
    return kid(first, second, *(draws(max(1, len(x)), 40, 0) for x in (first, second)), False).value


@PROMISE
def test_few_and_broken_sets_are_refused(tally) -> None:
    good, broken = some(0, 20, 8), []
    for images in (0, 1):
        broken.append((f"{images} images", good[:images]))
    for value in (math.nan, math.inf, -math.inf):
        for place in range(0, 160, 7):
            bad = good.clone()
            bad.view(-1)[place] = value
            broken.append((f"{value} at {place}", bad))
    broken.append(("features of another network", some(1, 20, 9)))
    for what, bad in broken:
        for name in ("FID", "KID"):
            for pair in ((good, bad), (bad, good)):
                tally.count(refuses(lambda pair=pair, name=name: distance(*pair, name)), f"{name}: {what}")
    logs = torch.rand(20, 5).log_softmax(1)
    for what, bad in (
        ("no image", logs[:0]),
        ("one image", logs[:1]),
        *((f"{value}", torch.where(torch.arange(5) == 3, value, logs)) for value in (math.nan, math.inf, 1.0)),
    ):
        weights = draws(max(1, len(bad)), 40, 0)
        tally.count(refuses(lambda bad=bad, weights=weights: inception_score(bad, weights, 10, 0)), f"IS: {what}")
    tally.count(refuses(lambda: draws(0, 40, 0)), "nothing to draw from")
    zero = torch.eye(5).repeat(4, 1).log()  # a probability of 0 is no fault
    tally.count(inception_score(zero, draws(20, 40, 0), 1, 0).value == pytest.approx(5), "IS: probabilities of 0")


@PROMISE
@pytest.mark.parametrize("repeats", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_equal_sets_are_at_zero_and_others_are_not(tally, repeats: int) -> None:
    """In any order, with more and fewer images than dimensions, and where images are repeated or flat."""
    rng = np.random.default_rng(0)
    for number in range(repeats):
        images, dimensions = int(rng.integers(2, 60)), int(rng.integers(1, 60))
        x = some(number, images, dimensions)
        if number % 4 == 1:
            x = x[rng.integers(0, images, images)]
        if number % 4 == 2:
            x = x[:1].repeat(images, 1)
        shuffled = x[torch.from_numpy(rng.permutation(images))]
        size = float(x.double().square().sum(1).mean()) or 1.0
        for y in (x.clone(), shuffled):
            what = f"case {number}: {images} images, {dimensions} dimensions"
            tally.count(frechet_distance(x, y) == 0, f"FID, {what}")
            figure = kid(x, y, draws(images, 40, 0), draws(images, 40, 0), y is not shuffled)
            ends = (figure.value, figure.low, figure.high)
            tally.count(ends == (0, 0, 0) and "equal" in figure.notes["note"], f"KID, {what}")
        other = x.clone()
        other[0, 0] += 1 + other.abs().max()
        tally.count(frechet_distance(x, other) > 1e-6 * size, f"FID of another set, case {number}")
        figure = kid(x, other, draws(images, 40, 0), draws(images, 40, 0), True)
        tally.count("equal" not in figure.notes.get("note", ""), f"KID of another set, case {number}")
        if number % 4 not in (1, 2):  # of a flat set and one that differs in one image the unbiased estimate is 0
            tally.count(figure.value != 0, f"KID of another set is 0, case {number}")
        both = frechet(x, other)
        tally.count(bool(both.first.isfinite().all() and both.second.isfinite().all()), f"influences, case {number}")


PICTURES = {
    "flat": lambda picture: np.full_like(picture, 127),
    "black": lambda picture: np.zeros_like(picture),
    "equal": lambda picture: picture,
    "noisy": lambda picture: picture ^ (picture.sum() % 64).astype(np.uint8),
}


@PROMISE
@pytest.mark.parametrize(
    "kind", ["flat", "equal", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("black", "noisy"))]
)
def test_the_table_says_it_beside_the_figure(tally, kind: str, tiny_shards: Path, tmp_path: Path, network) -> None:
    train, test = Split(tiny_shards, "train"), Split(tiny_shards, "test")
    made = generate(tmp_path / "made", test, "photo", PICTURES[kind])
    row = evaluate(CONFIG, train, test, made, TO_PHOTO, None, only=[]).metrics["rows"]["model"]
    fid, kernel = (row[name] for name in FIGURES["distances"])
    score = row[FIGURES["score"]]
    tally.count("biased: 8 images for 1280 dimensions" in fid["note"], f"{kind}: FID of few")
    tally.count("few: 8 images" in kernel["note"], f"{kind}: KID of few")
    tally.count("biased: 8 images in 8 splits for 1000 classes" in score["note"], f"{kind}: IS of few")
    flat = kind in ("flat", "black")
    for name, figure in (("FID", fid), ("KID", kernel), ("IS", score)):
        tally.count(("flat" in figure["note"]) == flat, f"{kind}: {name} says whether it is flat")
        tally.count(all(map(math.isfinite, (figure["value"], figure["low"], figure["high"]))), f"{kind}: {name}")
    for name, figure in (("FID", fid), ("KID", kernel)):
        tally.count(("equal" in figure["note"]) == (kind == "equal"), f"{kind}: {name} says whether it is equal")
        tally.count((abs(figure["value"]) < 1e-6) == (kind == "equal"), f"{kind}: {name} is 0 where sets are equal")
    if flat:
        tally.count(score["value"] == pytest.approx(1, abs=1e-6), f"{kind}: IS is 1")


@PROMISE
def test_pictures_of_another_size_or_type_are_refused(tally, tiny_shards: Path, tmp_path: Path, network) -> None:
    train, test, val = (Split(tiny_shards, name) for name in ("train", "test", "val"))
    good = np.stack([val.picture(i, "photo") for i in range(len(val))])
    float_nan = np.full(good.shape, np.nan, np.float32)
    odd = {
        "NaN": float_nan,
        "floats from 0 to 1": (good / 255).astype(np.float32),
        "int64": good.astype(np.int64),
        "booleans": good > 127,
        "grey": good[..., 0],
        "four channels": np.concatenate([good, good[..., :1]], axis=3),
        "channels first": np.ascontiguousarray(good.transpose(0, 3, 1, 2)),
        "half the size": good[:, ::2, ::2],
        "one row more": np.concatenate([good, good[:, :1]], axis=1),
        "too few": good[:-1],
        "none": good[:0],
    }
    for figure in ("fid_efficientnet_lite0", "kid_efficientnet_lite0", "l1", "psnr", "ssim"):
        objective = Objective(figure, CONFIG, train, val, TO_PHOTO, None, tmp_path / "cache")
        for what, pictures in odd.items():
            held = refuses(lambda pictures=pictures, objective=objective: objective.measure(pictures))
            tally.count(held, f"{figure}: {what}")
    for what in ("NaN", "floats from 0 to 1", "int64", "booleans", "grey", "four channels", "channels first"):
        tally.count(refuses(lambda what=what: network.extract(odd[what])), f"features: {what}")
    small = generate(tmp_path / "small", test, "photo", lambda picture: picture[::2, ::2])
    told = refuses(lambda: evaluate(CONFIG, train, test, small, TO_PHOTO, None, only=[]))
    tally.count(told, "generated at half the size")
    sizes = iter([good[0], good[1][::2, ::2]] * len(test))
    told = refuses(lambda: generate(tmp_path / "mixed", test, "photo", lambda _: next(sizes)))
    tally.count(told, "generated at mixed sizes")


@PROMISE
def test_kept_features_of_other_pictures_or_with_damage_are_taken_again(tally, tmp_path: Path) -> None:
    protocol = NetworkProtocol(sha256="a", resize="r", normalisation="n", dimensions=4)
    features = {name: (some(i, 6, 4), some(i, 6, 3)) for i, name in enumerate(("first", "second"))}
    cache = FeatureCache(tmp_path)
    paths = {}
    for name, kept in features.items():
        before = set(tmp_path.iterdir())
        cache.get(protocol, name, lambda kept=kept: kept)
        (paths[name],) = set(tmp_path.iterdir()) - before
    asked = []

    def again() -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(1)
        return features["first"]

    def told(what: str, data: bytes) -> None:
        asked.clear()
        paths["first"].write_bytes(data)
        found = cache.get(protocol, "first", again)
        whole = all(map(torch.equal, found, features["first"]))
        tally.count(whole and len(asked) == 1, what)

    good = paths["first"].read_bytes()
    told("another's", paths["second"].read_bytes())
    for place in range(0, len(good), 3):
        data = bytearray(good)
        data[place] ^= 1
        told(f"a bit of byte {place}", bytes(data))
    for length in range(0, len(good), 13):
        told(f"{length} of {len(good)} bytes", good[:length])
    save_file(load_file(paths["second"]), paths["first"])
    told("nothing said of what it is", paths["first"].read_bytes())
    asked.clear()
    cache.get(protocol, "first", again)
    assert not asked, "nothing is kept at all: nothing was tried"
