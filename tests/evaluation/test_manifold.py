"""Precision, recall and the nearest training picture, against cases whose answer is known."""

import numpy as np
import pytest
import torch

from components.evaluation.intervals import draws
from components.evaluation.manifold import nearest, precision_recall, shrunk


def both(made: torch.Tensor, real: torch.Tensor, neighbours: int = 3) -> tuple[float, float]:
    counts = draws(len(made), 40, 0), draws(len(real), 40, 1)
    precision, recall = precision_recall(made, real, *counts, neighbours)
    assert precision.low <= precision.value <= precision.high
    return precision.value, recall.value


def test_equal_sets_cover_each_other_and_far_ones_do_not():
    points = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    assert both(points, points) == (1.0, 1.0)
    assert both(points + 1000, points) == (0.0, 0.0)


def test_a_collapsed_model_is_precise_and_recalls_little():
    real = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    collapsed = real[:1] + 1e-3 * torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    precision, recall = both(collapsed, real)
    assert precision == 1.0
    assert recall < 0.05


def test_a_scattered_model_covers_all_and_is_imprecise():
    real = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    scattered = 6 * torch.randn(200, 2, generator=torch.Generator().manual_seed(1))
    precision, recall = both(scattered, real)
    assert precision < 0.6
    assert recall > 0.9


@pytest.mark.parametrize("neighbours", [1, 3])
def test_the_definition_pair_by_pair(neighbours):
    random = torch.Generator().manual_seed(3)
    made, real = torch.randn(30, 3, generator=random), 1.5 * torch.randn(40, 3, generator=random)

    def inside(points: torch.Tensor, others: torch.Tensor) -> float:
        hits = 0
        for point in points:
            for i, other in enumerate(others):
                apart = sorted(float((other - third).norm()) for j, third in enumerate(others) if j != i)
                if float((point - other).norm()) <= apart[neighbours - 1]:
                    hits += 1
                    break
        return hits / len(points)

    assert both(made, real, neighbours) == pytest.approx((inside(made, real), inside(real, made)))


def test_the_nearest_picture_is_found_and_its_distance_is_in_grey_levels():
    pictures = np.random.default_rng(0).integers(0, 200, (20, 32, 32, 3)).astype(np.uint8)
    others = shrunk(lambda i: pictures[i], 20)
    brighter = shrunk(lambda i: pictures[19 - i] + np.uint8(10), 20)
    distances, places = nearest(brighter, others)
    assert places.tolist() == list(range(19, -1, -1))
    assert torch.allclose(distances, torch.full((20,), 10.0), atol=1.0)  # of which rounding takes up to half
    assert nearest(others, others)[0].abs().max() < 1e-3
