"""Distances between sets of pictures against closed forms."""

import pytest
import torch

from components.objectives.feature_matching import feature_matching
from components.objectives.sliced_wasserstein import sliced_wasserstein


def test_sets_are_compared_and_not_pairs():
    pictures = torch.rand(4, 3, 16, 16)
    other = torch.rand(4, 3, 16, 16)
    assert sliced_wasserstein(pictures, pictures.flip(0)).item() == pytest.approx(0, abs=1e-7)
    assert sliced_wasserstein(pictures, other) == sliced_wasserstein(pictures[[2, 0, 3, 1]], other)
    assert sliced_wasserstein(pictures, other) > 0


def test_a_shift_of_all_values_is_as_far_as_it_is_large():
    pictures = torch.rand(2, 3, 16, 16)
    near, far = (sliced_wasserstein(pictures, pictures + shift).item() for shift in (0.1, 0.3))
    assert far == pytest.approx(3 * near, rel=1e-3)
    # A patch's projection moves by the shift times the sum of a unit direction of 3 * 7 * 7 values, which is
    # nearly unit normal: its mean absolute value is sqrt(2 / pi).
    assert near == pytest.approx(0.1 * (2 / torch.pi) ** 0.5, rel=0.4)


def test_it_sees_texture_that_means_do_not_show():
    flat = torch.zeros(4, 3, 32, 32)
    stripes = torch.ones(4, 3, 32, 32)
    stripes[..., ::2] = -1
    assert sliced_wasserstein(flat, stripes).item() > 0.1


def test_feature_matching_is_the_distance_of_the_means():
    real = [torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.tensor([[0.0], [2.0]])]
    fake = [torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.tensor([[5.0], [7.0]])]
    # (2 - 1)^2 and (4 - 1)^2 over two values, (1 - 6)^2 over one.
    assert feature_matching(real, fake).item() == pytest.approx((1 + 9) / 2 + 25)


def test_feature_matching_teaches_the_fakes_alone():
    real, fake = (torch.rand(3, 4, requires_grad=True) for _ in range(2))
    feature_matching([real], [fake]).backward()
    assert real.grad is None
    wanted = 2 * (fake - real).detach().mean(dim=0) / 4 / 3
    assert torch.allclose(fake.grad, wanted.expand(3, 4), atol=1e-7)
