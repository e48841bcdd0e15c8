"""Points are drawn from the density that their domain tells."""

import math

import numpy as np
import pytest

from components.evaluation.points import assign
from components.faults import Fault
from components.samples.domain import points_of_bytes
from components.sources.points import PointsConfig, PointsCut, fetch_points, open_points


def drawn(tmp_path, **cut) -> tuple[PointsCut, np.ndarray]:
    """The training points of a cut, (n, 2)."""
    fetch_points(PointsConfig(), tmp_path / "raw", tmp_path / "cache")
    config = PointsCut(**cut)
    source = open_points(tmp_path / "raw", config)
    return config, points_of_bytes(np.stack([source.read(unit)["point"] for unit in source.splits["train"]]))


@pytest.mark.parametrize(("shape", "modes", "std"), [("ring", 8, 0.02), ("grid", 25, 0.05)])
def test_points_follow_their_density(tmp_path, shape, modes, std):
    cut, points = drawn(tmp_path, shape=shape, train=5000)
    mixture = cut.mixtures()["point"]
    assigned = assign(mixture, points)
    counts = np.bincount(assigned.modes.numpy(), minlength=modes)
    expected = len(points) / modes
    chi = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi - (modes - 1)) < 4 * math.sqrt(2 * (modes - 1))  # of chi-squared: mean and deviation
    offsets = (points - np.array(mixture.centres)[assigned.modes.numpy()]) / std
    assert np.abs(offsets.mean(0)).max() < 4 / math.sqrt(len(points))
    assert np.cov(offsets.T) == pytest.approx(np.eye(2), abs=0.08)
    # The squared distance in deviations is exponential with mean 2: P(within 3) = 1 - exp(-4.5).
    assert float(assigned.good.double().mean()) == pytest.approx(1 - math.exp(-4.5), abs=0.006)


def test_the_ring_and_the_grid_lie_where_the_papers_have_them():
    ring, grid = (np.array(PointsCut(shape=shape).mixtures()["point"].centres) for shape in ("ring", "grid"))
    assert np.linalg.norm(ring, axis=1) == pytest.approx(np.full(8, 2.0))
    nearest = np.sort(np.linalg.norm(ring[:, None] - ring[None], axis=2), axis=1)[:, 1]
    assert nearest == pytest.approx(np.full(8, 4 * math.sin(math.pi / 8)))
    assert {tuple(place) for place in grid.tolist()} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}


def test_a_point_depends_on_seed_split_and_place_alone(tmp_path):
    (_, few), (_, more), (_, others) = (
        drawn(tmp_path, train=count, seed=seed) for count, seed in ((20, 0), (30, 0), (20, 1))
    )
    assert np.array_equal(few, more[:20])
    assert not np.isin(few, others).any()
    source = open_points(tmp_path / "raw", PointsCut(train=20, val=20, test=20))
    read = [points_of_bytes(np.stack([source.read(unit)["point"] for unit in u])) for u in source.splits.values()]
    assert len(np.unique(np.concatenate(read), axis=0)) == 60


def test_both_have_the_rings_points_and_points_of_the_grid(tmp_path):
    _, alone = drawn(tmp_path, shape="ring", train=200)
    source = open_points(tmp_path / "raw", PointsCut(shape="both", train=200))
    read = [source.read(unit) for unit in source.splits["train"]]
    ring, grid = (points_of_bytes(np.stack([sample[name] for sample in read])) for name in ("ring", "grid"))
    assert np.array_equal(ring, alone)
    found = assign(PointsCut(shape="grid").mixtures()["point"], grid)
    assert len(np.unique(found.modes)) == 25
    assert float(found.good.double().mean()) > 0.95
    assert source.task.target == "ring"
    assert set(source.domains) == {"ring", "grid"}


def test_points_need_the_fetch_stage(tmp_path):
    with pytest.raises(Fault, match="run dvc repro fetch"):
        open_points(tmp_path, PointsCut())
