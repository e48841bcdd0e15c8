"""Adversarial losses against their closed forms."""

import math

import pytest
import torch

from components.objectives.adversarial import ADVERSARIAL

LOGITS = torch.tensor([[-2.0, 0.0], [0.5, 3.0]])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("name", "real", "fake", "generator"),
    [
        ("vanilla", lambda x: softplus(-x), softplus, lambda x: softplus(-x)),
        ("minimax", lambda x: softplus(-x), softplus, lambda x: -softplus(x)),
        ("lsgan", lambda x: (x - 1) ** 2, lambda x: x**2, lambda x: (x - 1) ** 2),
        ("hinge", lambda x: max(0, 1 - x), lambda x: max(0, 1 + x), lambda x: -x),
        ("wasserstein", lambda x: -x, lambda x: x, lambda x: -x),
    ],
)
def test_losses_are_their_formulas(name, real, fake, generator):
    loss, logits = ADVERSARIAL[name], LOGITS.flatten().tolist()
    assert loss.real(LOGITS).item() == pytest.approx(mean(map(real, logits)), rel=1e-5)
    assert loss.fake(LOGITS).item() == pytest.approx(mean(map(fake, logits)), rel=1e-5)
    assert loss.generator(LOGITS).item() == pytest.approx(mean(map(generator, logits)), rel=1e-5)


def test_an_undecided_discriminator_loses_ln_2():
    loss = ADVERSARIAL["vanilla"]
    undecided = torch.zeros(1, 1, 4, 4)
    assert loss.real(undecided).item() == pytest.approx(math.log(2), rel=1e-6)
    assert loss.fake(undecided).item() == pytest.approx(math.log(2), rel=1e-6)
