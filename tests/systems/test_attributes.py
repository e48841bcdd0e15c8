"""Attributes as the condition of systems: their loss in closed form, who takes them and who does not."""

import math

import numpy as np
import pytest
import torch

from components.faults import Fault
from components.objectives.class_loss import class_loss
from components.samples.domain import Domain
from components.systems import AnySystemConfig, build
from components.systems.classifier import ClassifierConfig
from components.systems.generation.cgan import CGANConfig, ConvolutionsConfig, MaxoutConfig
from components.systems.generation.lapgan import LAPGANConfig
from components.systems.generation.stacked_gan import StackedGANConfig
from components.systems.system import Given, Moment, Shape
from components.systems.translation.star_gan import StarGANConfig
from components.systems.translation.star_gan_v2 import StarGANv2Config
from components.systems.translation.within import distance_by_class, exchanged

PHOTO = Domain(kind="image", size=(16, 16))
TRAITS = Domain(kind="attributes", classes=("hat", "smiling", "old"))
TAKE = (
    CGANConfig(latent=8, networks=ConvolutionsConfig(width=4, norm="none")),
    CGANConfig(latent=8, networks=MaxoutConfig(dropout=0)),
    LAPGANConfig(conditional=True, width=4, base_widths=(16,), critic_widths=(8,), dropout=0),
    StarGANConfig(width=4, blocks=1, critic_width=4),
)


def shape(config: AnySystemConfig) -> Shape:
    return Shape(PHOTO if config.within else None, PHOTO, asked=TRAITS)


def batch(count: int = 8) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    pictures = 2 * torch.rand(count, 3, 16, 16) - 1
    shown = (torch.arange(count)[:, None] // torch.tensor([1, 2, 4]) % 2).float()
    return {"source": pictures, "target": pictures, "condition": shown, "seeds": torch.arange(count) + 7}


def test_the_loss_is_summed_over_attributes_and_is_cross_entropy_of_a_class():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
    shown = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    expected = sum(
        math.log1p(math.exp(-x if holds else x))
        for x, holds in zip(logits.flatten().tolist(), shown.flatten().tolist(), strict=True)
    )
    assert float(class_loss(logits, shown, exclusive=False)) == pytest.approx(expected / 2, rel=1e-6)
    one_hot = torch.eye(3)[[0, 2]]
    expected = float(-(logits.log_softmax(1) * one_hot).sum(1).mean())
    assert float(class_loss(logits, one_hot, exclusive=True)) == pytest.approx(expected, rel=1e-6)


def test_star_gan_asks_for_the_attributes_of_another_picture_and_reads_each():
    system, given = build(StarGANConfig(width=4, blocks=1, critic_width=4, lambda_class=0.5), shape(TAKE[-1])), batch()
    critic, generator = system.phases
    terms, judge = critic.terms(system.networks, given, Moment(0, 10, 0)), system.networks["discriminator"]
    assert torch.equal(given["asked"], exchanged(given["condition"], given["seeds"]))
    assert torch.equal(given["asked"].sum(0), given["condition"].sum(0))
    log_odds = judge(given["source"])[1].detach()
    right = torch.where(given["condition"] > 0, log_odds, -log_odds)
    expected = 0.5 * float(-torch.nn.functional.logsigmoid(right).sum(1).mean())
    assert float(terms["class"].detach()) == pytest.approx(expected, rel=1e-5)
    terms = generator.terms(system.networks, given, Moment(0, 10, 0))
    fake = torch.tanh(system.networks["generator"](given["source"], given["asked"]))
    log_odds = judge(fake)[1].detach()
    right = torch.where(given["asked"] > 0, log_odds, -log_odds)
    expected = 0.5 * float(-torch.nn.functional.logsigmoid(right).sum(1).mean())
    assert float(terms["class_fake"].detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("config", TAKE, ids=lambda config: f"{config.name}")
def test_a_system_that_takes_them_sees_every_attribute(config):
    system, given = build(config, shape(config)), batch()
    for phase in system.phases:
        terms = phase.terms(system.networks, given, Moment(0, 10, 0))
        assert all(bool(torch.isfinite(term)) for term in terms.values())
    (use,) = system.uses.values()
    network = use.of(system.networks).eval()
    source = given["source"][:1].expand(8, -1, -1, -1) if config.within else None
    made = use.run(network, Given(torch.zeros(8, dtype=torch.int64), source, given["condition"]))
    flat = made.detach().flatten(1).numpy()
    assert len(np.unique(flat, axis=0)) == 8


@pytest.mark.parametrize("config", [StackedGANConfig(), StarGANv2Config()], ids=lambda config: config.name)
def test_a_system_of_one_class_at_a_time_refuses_them(config):
    with (
        torch.device("meta"),
        pytest.raises(Fault, match=rf"system\.name: {config.name} takes one class .* train\.task .* cgan, star_gan"),
    ):
        build(config, Shape(PHOTO.at((64, 64)), PHOTO.at((64, 64)), asked=TRAITS))


def test_the_distance_is_of_those_that_have_an_attribute_and_of_those_that_have_not():
    real = torch.zeros(8, 3, 16, 16)
    shown = batch()["condition"]
    real += 0.4 * shown[:, :1, None, None]
    asked = torch.cat([1 - shown[:, :1], shown[:, 1:]], dim=1)
    flipped = 0.4 - real
    assert distance_by_class(flipped, asked, real, shown, exclusive=False) == 0
    whole = distance_by_class(real, asked, real, shown, exclusive=False)
    # Of the three attributes one alone shows: a third of the pictures and attributes are as far off as one can be.
    alone = distance_by_class(real, asked[:, :1], real, shown[:, :1], exclusive=False)
    assert float(whole) == pytest.approx(float(alone) / 3, rel=1e-5)
    assert alone > 0.1
    # Those that were asked to lack it are wrong, and those that were asked to have it are right.
    half = distance_by_class(torch.full_like(real, 0.4), asked[:, :1], real, shown[:, :1], exclusive=False)
    assert float(half) == pytest.approx(float(alone) / 2, rel=1e-5)


def test_the_classifier_learns_each_attribute_by_itself():
    config = ClassifierConfig(width=4, dropout=0)
    torch.manual_seed(0)
    system, given = build(config, Shape(PHOTO, TRAITS)), batch()
    given["target"] = given.pop("condition")
    given["source"] = given["target"][:, :, None, None].expand(-1, -1, 16, 16) * 1.6 - 0.8
    (phase,) = system.phases
    for _ in range(60):
        (loss,) = phase.terms(system.networks, given, Moment(0, 60, 0)).values()
        weights = list(system.networks.parameters())
        with torch.no_grad():
            for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight -= 0.5 * slope
    figures = system.validation(system.networks, given)
    assert next(iter(figures)) == "error"
    assert float(figures["error"]) == 0
    (use,) = system.uses.values()
    made = use.run(use.of(system.networks), Given(given["seeds"], given["source"]))
    assert torch.equal((made > 0.5).float(), given["target"])
