"""The ResNet generator, as published and as it starts from its source."""

import pytest
import torch

from components.faults import Fault
from components.samples.domain import Domain
from components.systems.parts import ResNetConfig, make_generator

PHOTO = Domain(kind="image")
LABELS = Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (255, 255, 255)))


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_a_residual_one_starts_as_the_identity_and_can_leave_it(norm):
    config = ResNetConfig(width=4, blocks=1, norm=norm, init="kaiming", upsample="nearest", residual=True)
    network = make_generator(config, PHOTO.at((16, 16)), PHOTO.at((16, 16)))
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    made = torch.tanh(network(x))
    assert torch.allclose(made, 0.98 * x, atol=1e-5)
    made.mean().backward()
    assert network.last.weight.grad.abs().max() > 0


@pytest.mark.parametrize("upsample", ["transposed", "nearest"])
def test_it_gives_the_size_it_was_given(upsample):
    network = make_generator(
        ResNetConfig(width=4, blocks=2, upsample=upsample), PHOTO.at((16, 24)), LABELS.at((16, 24))
    )
    assert network(torch.zeros(1, 3, 16, 24)).shape == (1, 2, 16, 24)


def test_a_source_that_is_not_seen_in_colour_cannot_be_added_to():
    with pytest.raises(Fault, match=r"system.generator.residual: .* see train.labels"):
        make_generator(ResNetConfig(residual=True), LABELS.at((16, 16)), PHOTO.at((16, 16)))


def test_sides_that_cannot_be_halved_twice_are_refused():
    with pytest.raises(Fault, match="multiples of 4, not 18x16"):
        make_generator(ResNetConfig(), PHOTO.at((18, 16)), PHOTO.at((18, 16)))
