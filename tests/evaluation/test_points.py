"""The figures of points against hand-made sets of them."""

import math

import numpy as np
import pytest

from components.evaluation.config import EvaluateConfig
from components.evaluation.points import assign, point_figures
from components.samples.domain import bytes_of_points, points_of_bytes
from components.sources.points import PointsCut

RING = PointsCut(shape="ring").mixtures()["point"]
CENTRES = np.array(RING.centres, np.float32)
CONFIG = EvaluateConfig(num_bootstrap=40)


def values(points: np.ndarray) -> dict[str, float]:
    """The figures of points (n, 2) on the ring."""
    figures = point_figures(RING, assign(RING, np.asarray(points, np.float32)), CONFIG)
    return {name: figure.value for name, figure in figures.items()}


def test_all_modes_hit_equally():
    found = values(np.repeat(CENTRES, 5, axis=0))
    assert found == pytest.approx({"modes": 8, "high_quality": 1, "mode_kl": 0, "mode_js": 0}, abs=1e-12)


def test_one_mode_alone():
    found = values(np.repeat(CENTRES[3:4], 40, axis=0))
    middle = math.log(16 / 9) / 2 + (math.log(2 / 9) / 8 + 7 / 8 * math.log(2)) / 2
    assert found == pytest.approx({"modes": 1, "high_quality": 1, "mode_kl": math.log(8), "mode_js": middle})


def test_points_far_from_every_mode_count_for_the_nearest_and_find_nothing():
    found = values(0.5 * np.repeat(CENTRES[:4], 10, axis=0))
    assert found["modes"] == found["high_quality"] == 0
    assert found["mode_kl"] == pytest.approx(math.log(2))  # 4 of 8 modes, equally


def test_three_deviations_are_within_and_more_are_not():
    away = np.array([2.99, 3.01]) * RING.std
    found = values(CENTRES[[0, 0]] + np.stack([np.zeros(2), away], axis=1))
    assert found["high_quality"] == 0.5
    assert found["modes"] == 1


def test_the_interval_holds_the_value_and_narrows_with_more_points():
    random = np.random.default_rng(0)
    widths = []
    for count in (500, 20_000):
        points = CENTRES[random.integers(8, size=count)] + RING.std * random.standard_normal((count, 2))
        share = point_figures(RING, assign(RING, points.astype(np.float32)), CONFIG)["high_quality"]
        assert share.low <= share.value <= share.high
        widths.append(share.high - share.low)
    assert widths[1] < widths[0] / 3


def test_points_keep_every_bit_as_bytes():
    points = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    held = bytes_of_points(points)
    assert (held.dtype, held.shape) == (np.uint8, (7, 8, 1))
    assert np.array_equal(points_of_bytes(held), points)
