"""Distances between sets, computed on a GPU and on a CPU."""

import pytest
import torch

from components.evaluation import beside, frechet, kid, manifold
from components.evaluation.intervals import draws

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def features(count: int, dimensions: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, dimensions, generator=random).relu() + 0.1 * seed


@pytest.fixture(params=[(300, 640), (1500, 320)], ids=["fewer images than dimensions", "more"])
def sets(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    return features(*request.param, 1), features(*request.param, 2)


def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (beside, frechet, manifold):
        monkeypatch.setattr(module, "compute_device", lambda: torch.device("cpu"))


def test_frechet_is_that_of_a_cpu(sets, monkeypatch):
    there = frechet.frechet(*sets)
    on_cpu(monkeypatch)
    here = frechet.frechet(*sets)
    assert there.value == pytest.approx(here.value, rel=1e-6)
    for one, two in ((there.first, here.first), (there.second, here.second)):
        assert torch.allclose(one, two, rtol=1e-5, atol=1e-6 * float(two.abs().max()))


def test_kid_and_precision_are_those_of_a_cpu(sets, monkeypatch):
    counts = draws(len(sets[0]), 50, 0)
    there = kid.kid(*sets, counts, counts, paired=True), manifold.precision_recall(*sets, counts, counts)
    on_cpu(monkeypatch)
    here = kid.kid(*sets, counts, counts, paired=True), manifold.precision_recall(*sets, counts, counts)
    assert there[0].value == pytest.approx(here[0].value, rel=1e-6)
    assert there[0].low == pytest.approx(here[0].low, rel=1e-6)
    for one, two in zip(there[1], here[1], strict=True):
        assert one.value == pytest.approx(two.value, abs=1e-3)  # distances in float32, which decide who is nearer
