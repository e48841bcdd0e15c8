"""pix2pix's variants are params of one system: five objectives, generators with and without skips."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from components.faults import Fault
from components.samples.domain import Domain
from components.systems import build
from components.systems.parts import (
    EncoderDecoderConfig,
    PatchGANConfig,
    TextureEncoderDecoderConfig,
    TextureUNetConfig,
    UNetConfig,
)
from components.systems.system import Moment, Shape
from components.systems.translation.pix2pix import Pix2PixConfig
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.loop import fit
from components.training.run import plan
from tests.training.helpers import weights_of

START = Moment(step=0, steps=1, images=0)

LABELS = Domain(kind="label", classes=("a", "b", "c"), palette=((0, 0, 0), (9, 9, 9), (99, 0, 0)))
SHAPE = Shape(LABELS.at((32, 32)), Domain(kind="image").at((32, 32)))
OBJECTIVES = {
    "L1": {"lambda_adversarial": 0},
    "GAN": {"lambda_l1": 0, "conditional": False},
    "cGAN": {"lambda_l1": 0},
    "L1+GAN": {"conditional": False},
    "L1+cGAN": {},
}


def variant(**params):
    small = {
        "patch_size": 16,
        "generator": UNetConfig(width=4, levels=3, norm="instance"),
        "discriminator": PatchGANConfig(width=4, norm="instance"),
    }
    return Pix2PixConfig(**(small | params))


def one_batch(count=2):
    torch.manual_seed(1)
    source = F.one_hot(torch.randint(0, 3, (count, 32, 32)), 3).permute(0, 3, 1, 2).float()
    return {"source": source, "target": torch.rand(count, 3, 32, 32) * 2 - 1, "seeds": torch.arange(count)}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_has_its_own_phases_terms_and_sight(name):
    system = build(variant(**OBJECTIVES[name]), SHAPE)
    batch = one_batch()
    terms = {phase.name: set(phase.terms(system.networks, batch, START)) for phase in system.phases}
    generator = {"adversarial"} if "GAN" in name else set()
    generator |= {"l1"} if "L1" in name else set()
    adversarial = {"discriminator": {"fake", "real"}} if "GAN" in name else {}
    assert terms == adversarial | {"generator": generator}
    assert [phase.name for phase in system.phases] == [*adversarial, "generator"]
    assert set(system.networks) == set(terms)
    if "GAN" in name:
        seen = system.networks["discriminator"].layers[0].in_channels
        assert seen == (6 if "cGAN" in name else 3)


def test_weights_of_the_terms_scale_them():
    torch.manual_seed(0)
    one = build(variant(lambda_l1=1, lambda_adversarial=1), SHAPE)
    other = build(variant(lambda_l1=7, lambda_adversarial=0.25), SHAPE)
    other.networks.load_state_dict(one.networks.state_dict())
    first, second = one_batch(), one_batch()
    for system, batch in ((one, first), (other, second)):
        system.phases[0].terms(system.networks, batch, START)
    a, b = one.phases[1].terms(one.networks, first, START), other.phases[1].terms(other.networks, second, START)
    assert b["l1"].item() == pytest.approx(7 * a["l1"].item())
    assert b["adversarial"].item() == pytest.approx(0.25 * a["adversarial"].item())


def test_conditional_discriminator_tells_a_mismatched_source_and_the_other_cannot():
    for conditional in (True, False):
        torch.manual_seed(0)
        system = build(variant(conditional=conditional), SHAPE)
        batch = one_batch()
        moved = batch | {"source": batch["source"].flip(0)}
        real, mismatched = (system.phases[0].terms(system.networks, b, START)["real"].item() for b in (batch, moved))
        assert (real != mismatched) == conditional


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_trains_and_resumes_bitwise(tiny_shards, tmp_path, name):
    config = variant(**OBJECTIVES[name])
    settings = {"steps": 4, "batch_size": 4, "checkpoint_every": 2, "log_every": 1, "ema": 0.9}
    whole, halved = (
        plan(config, TrainConfig(**settings), tiny_shards, tmp_path / root) for root in ("whole", "halved")
    )
    fit(whole, Group())
    fit(halved, Group(), until=2)
    half = {key: value.clone() for key, value in weights_of(halved).items()}
    fit(halved, Group())
    a, b = weights_of(whole), weights_of(halved)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(half[key], b[key]) for key in b if key.startswith("generator"))
    assert any(key.startswith("discriminator") for key in a) == ("GAN" in name)


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(ValidationError, match="nothing to learn from"):
        Pix2PixConfig(lambda_l1=0, lambda_adversarial=0)


def test_an_l1_run_has_no_note_about_a_patch_it_does_not_use():
    assert build(variant(patch_size=70), SHAPE).notes
    assert not build(variant(patch_size=70, lambda_adversarial=0), SHAPE).notes


@pytest.mark.parametrize(
    ("generator", "twin"),
    [
        (UNetConfig(width=4, levels=3), EncoderDecoderConfig(width=4, levels=3)),
        (TextureUNetConfig(widths=(4, 8, 8), shortcut=0), TextureEncoderDecoderConfig(widths=(4, 8, 8))),
    ],
)
def test_a_twin_without_skips_loses_what_the_bottleneck_does_not_hold(generator, twin):
    """One pixel of the source reaches its own place through a skip; without, only blocks of the bottleneck's size."""
    touched = {}
    for config in (generator, twin):
        torch.manual_seed(0)
        system = build(variant(generator=config), SHAPE)
        network = system.networks["generator"].eval().double()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(parameter.abs() if parameter.dim() == 4 else parameter)
        source = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
        moved = source.clone()
        moved[0, 0, 13, 13] = 1
        seeds = torch.zeros(1, dtype=torch.int64)
        with torch.no_grad():
            difference = (network(moved, seeds) - network(source, seeds)).abs()[0].sum(0)
        touched[config.name] = float(difference[12:15, 12:15].sum() / difference.sum())
    assert touched[generator.name] > 2 * touched[twin.name] > 0


def test_sides_that_the_levels_do_not_divide_are_refused_for_all_generators():
    odd = Shape(SHAPE.source.at((24, 24)), SHAPE.target.at((24, 24)))
    for generator in (EncoderDecoderConfig(levels=4), TextureEncoderDecoderConfig(widths=(4,) * 5)):
        with pytest.raises(Fault, match="multiples of 16, not 24x24"):
            build(variant(generator=generator), odd)
