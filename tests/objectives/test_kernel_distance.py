"""The kernel distance of two sets of features."""

import pytest
import torch

from components.evaluation.intervals import draws
from components.evaluation.kid import kid
from components.objectives.kernel_distance import kernel_distance


def test_it_is_the_kid_that_evaluate_measures():
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 12, generator=random), torch.randn(20, 12, generator=random).relu()
    figure = kid(x, y, draws(30, 2, 0), draws(20, 2, 1), paired=False)
    assert float(kernel_distance(x, y)) == pytest.approx(figure.value, rel=1e-9)


def test_two_draws_of_one_distribution_are_at_0_on_average():
    random = torch.Generator().manual_seed(0)
    found = torch.stack(
        [kernel_distance(*torch.randn(2, 10, 3, generator=random, dtype=torch.float64)) for _ in range(400)]
    )
    assert abs(float(found.mean())) < 3 * float(found.std()) / 20
    assert float(found.min()) < 0
