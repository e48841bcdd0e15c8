"""StarGAN v2: published sizes, who learns from what, references of the batch, and a diversity that falls."""

import pytest
import torch
from torch import nn

from components.faults import Fault
from components.networks.noise import latents
from components.networks.star_gan_v2 import AdaptiveNorm, Block, Mapping, StyledGenerator, Trunk
from components.samples.domain import Domain
from components.systems.system import Given, Moment, Shape, System
from components.systems.translation.star_gan_v2 import (
    WEIGHT,
    StarGANv2Config,
    diversity_weight,
    draw_references,
    make_networks,
    star_gan_v2,
)
from components.systems.translation.within import others, partners
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.loop import fit
from components.training.optimizers import make_optimizers, rate_groups, rates
from components.training.trainer import Trainer
from tests.systems.test_every_system import assert_same_weights, run_of
from tests.training.helpers import weights_of

PHOTO = Domain(kind="image")
SMALL = {"width": 4, "most": 8, "levels": 1, "latent": 4, "style": 4, "hidden": 8}
NOW = Moment(0, 10, 0)


def shape(size: int = 16, classes: int = 3) -> Shape:
    photo = PHOTO.at((size, size))
    return Shape(photo, photo, asked=Domain(kind="category", classes=tuple("abcdefgh"[:classes])))


def batch(count: int = 6) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    pictures = 2 * torch.rand(count, 3, 16, 16) - 1
    given = {"source": pictures, "target": pictures, "condition": torch.eye(3)[torch.arange(count) % 3]}
    return given | {"seeds": torch.arange(count) * 100 + 7}


def small(**params: object) -> System:
    torch.manual_seed(0)
    return star_gan_v2(StarGANv2Config(**(SMALL | params)), shape())


def test_the_published_sizes():
    with torch.device("meta"):
        networks = make_networks(StarGANv2Config(), shape(256))
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    assert counts == {
        "generator": 33_892_995,
        "mapping": 3_259_072,
        "encoder": 20_949_760,
        "discriminator": 20_852_803,
    }


def test_blocks_keep_the_variance_and_a_style_is_a_gain_and_a_shift():
    torch.manual_seed(0)
    x = torch.randn(4, 8, 16, 16)
    block = Block(8, 8, down=False)
    for convolution in block.convolutions:
        nn.init.zeros_(convolution.weight)
        nn.init.zeros_(convolution.bias)
    assert torch.allclose(block(x), x / 2**0.5, atol=1e-6)
    norm = AdaptiveNorm(8, 3)
    nn.init.zeros_(norm.affine.weight)
    with torch.no_grad():
        norm.affine.bias.copy_(torch.cat([torch.full((8,), 0.5), torch.full((8,), -2.0)]))
    out = norm(x, torch.randn(4, 3))
    assert torch.allclose(out.mean((2, 3)), torch.full((4, 8), -2.0), atol=1e-5)
    assert torch.allclose(out.std((2, 3), correction=0), torch.full((4, 8), 1.5), atol=1e-3)


def test_each_class_has_a_head_of_its_own():
    torch.manual_seed(0)
    mapping, trunk = Mapping(4, 5, 3, 8), Trunk(3, 5, 3, (16, 24), (4, 8, 8))
    latent, pictures, kinds = torch.randn(3, 4), torch.rand(3, 3, 16, 24), torch.eye(3)
    styles = mapping(latent, kinds)
    assert torch.allclose(styles[1], mapping.heads[1](mapping.shared(latent))[1])
    shown = trunk(pictures, kinds)
    assert torch.allclose(shown[2], trunk.heads(trunk.layers(pictures))[2, 10:15])
    assert StyledGenerator(3, 5, (4, 8))(pictures, styles).shape == pictures.shape


def test_references_are_of_the_class_that_is_asked_for():
    given = batch(48)
    drawn = draw_references(given)
    pictures = given["source"].flatten(1)

    def places(references: torch.Tensor) -> torch.Tensor:
        return (pictures[None] - references.flatten(1)[:, None]).abs().sum(2).argmin(1)

    first, second = places(drawn["reference"]), places(drawn["reference_2"])
    assert torch.equal(first.sort().values, torch.arange(48))
    for place in (first, second):
        assert torch.equal(given["condition"][place], drawn["asked"])
    assert not (first == second).any()
    assert len(second.unique()) > 20
    alone = others(torch.arange(3), torch.eye(3), partners(torch.arange(3)))
    assert torch.equal(alone, partners(torch.arange(3)))  # no other of the class is there


def test_references_depend_on_no_places():
    given, turned = batch(24), torch.randperm(24)
    drawn = draw_references(given)
    again = draw_references({name: value[turned] for name, value in given.items()})
    for name in drawn:
        assert torch.equal(again[name], drawn[name][turned])


def test_the_terms_of_the_generator_are_those_of_the_paper():
    system, given = small(lambda_style=2, lambda_cycle=3, lambda_diversity=5), batch()
    networks = system.networks.requires_grad_(False)
    system.course.begin(networks, Moment(2, 10, 0))
    by_latent, by_reference = system.phases[2:]
    given |= draw_references(given)
    generator, encoder = networks["generator"], networks["encoder"]
    source, asked = given["source"], given["asked"]
    styles = {
        "latent": [networks["mapping"](latents(given["seeds"], 4, torch.device("cpu"), draw=i), asked) for i in (0, 1)],
        "reference": [encoder(given[name], asked) for name in ("reference", "reference_2")],
    }
    for phase, (style, second) in ((by_latent, styles["latent"]), (by_reference, styles["reference"])):
        terms = phase.terms(networks, dict(given), NOW)
        fake = generator(source, style)
        told = networks["discriminator"](fake, asked)
        assert float(terms["adversarial"]) == pytest.approx(float(nn.functional.softplus(-told).mean()), rel=1e-5)
        assert float(terms["style"]) == pytest.approx(2 * float((encoder(fake, asked) - style).abs().mean()), rel=1e-5)
        home = generator(fake, encoder(source, given["condition"]))
        assert float(terms["cycle"]) == pytest.approx(3 * float((home - source).abs().mean()), rel=1e-5)
        apart = float((fake - generator(source, second)).abs().mean())
        assert float(terms["diversity"]) == pytest.approx(-5 * 0.8 * apart, rel=1e-4)


def test_the_terms_of_the_discriminator_are_those_of_the_paper():
    system, given = small(lambda_r1=3), batch()
    given |= draw_references(given)
    judge = system.networks["discriminator"]
    terms = system.phases[1].terms(system.networks, given, NOW)
    real = given["source"].clone().requires_grad_()
    told = judge(real, given["condition"])
    (slope,) = torch.autograd.grad(told.sum(), real)
    assert float(terms["penalty"].detach()) == pytest.approx(
        1.5 * float(slope.square().sum((1, 2, 3)).mean()), rel=1e-4
    )
    assert float(terms["real"].detach()) == pytest.approx(
        float(nn.functional.softplus(-told.detach()).mean()), rel=1e-5
    )
    with torch.no_grad():
        style = system.networks["encoder"](given["reference"], given["asked"])
        told = judge(system.networks["generator"](given["source"], style), given["asked"])
    assert float(terms["fake"].detach()) == pytest.approx(float(nn.functional.softplus(told).mean()), rel=1e-5)


def test_a_reference_teaches_the_generator_alone():
    system = small()
    config = TrainConfig(steps=10, batch_size=6)
    trainer, phases = Trainer(system, config, 10, Group()), system.phases
    assert [phase.name for phase in phases] == [
        "discriminator",
        "discriminator_reference",
        "generator",
        "generator_reference",
    ]
    moved = {}
    for phase in phases:
        before = {name: value.clone() for name, value in system.networks.state_dict().items()}
        trainer._take([phase], batch() | draw_references(batch()), NOW, 0.0)
        after = system.networks.state_dict()
        moved[phase.name] = {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert moved == {
        "discriminator": {"discriminator"},
        "discriminator_reference": {"discriminator"},
        "generator": {"generator", "mapping", "encoder"},
        "generator_reference": {"generator"},
    }
    assert list(trainer.optimizers) == ["discriminator", "generator"]


@pytest.mark.parametrize(
    ("train", "mapping", "rest"),
    [({}, 1e-6, 1e-4), ({"learning_rate": 1e-3}, 1e-6, 1e-3), ({"learning_rates": {"mapping": 5e-5}}, 5e-5, 1e-4)],
)
def test_the_mapping_network_has_a_rate_of_its_own(train, mapping, rest):
    system, config = small(), TrainConfig(steps=10, **train)
    optimizers = make_optimizers(system, config)
    names = [group["network"] for group in rate_groups(optimizers)]
    found = dict(zip(names, rates(system, optimizers, config, 0, 10), strict=True))
    assert found == pytest.approx({"discriminator": rest, "generator": rest, "mapping": mapping, "encoder": rest})
    assert all(group["weight_decay"] == 1e-4 and group["betas"] == (0.0, 0.99) for group in rate_groups(optimizers))


def test_diversity_falls_evenly_to_nothing():
    config = StarGANv2Config(lambda_diversity=2, diversity_share=0.5)
    weights = [diversity_weight(config, Moment(step, 8, 0)) for step in range(8)]
    assert weights == pytest.approx([2, 1.5, 1, 0.5, 0, 0, 0, 0])
    system = small(lambda_diversity=0)
    assert "diversity" not in system.phases[2].terms(system.networks, batch() | draw_references(batch()), NOW)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_run_goes_on_exactly_where_diversity_changes(tiny_shards, tmp_path, cut):
    params = SMALL | {"diversity_share": 0.5}
    whole, part = (
        run_of("star_gan_v2", tiny_shards, tmp_path / name, params, steps=4, learning_rate=None)
        for name in ("whole", "part")
    )
    fit(whole, Group())
    fit(part, Group(), until=cut)
    assert not any(WEIGHT in name for name in weights_of(part))  # a function of the step, and in no checkpoint
    fit(part, Group())
    assert_same_weights(whole, part)


def test_a_picture_is_shown_by_a_latent_or_by_a_reference():
    system, given = small(), batch()
    system.networks.requires_grad_(False)
    use, other = system.uses["latent"], system.uses["reference"]
    assert (use.networks, other.networks) == (("generator", "mapping"), ("generator", "encoder"))
    asked = given["condition"].roll(1, dims=1)
    ways = [
        use.run(use.of(system.networks), Given(seeds, given["source"], asked))
        for seeds in (given["seeds"], given["seeds"] + 1)
    ]
    ways += [
        other.run(other.of(system.networks), Given(given["seeds"], given["source"], asked, reference=reference))
        for reference in (given["source"], given["source"].flip(0))
    ]
    assert all(not torch.allclose(a, b) for i, a in enumerate(ways) for b in ways[:i])
    again = other.run(
        other.of(system.networks), Given(given["seeds"] + 1, given["source"], asked, reference=given["source"])
    )
    assert torch.equal(again, ways[2])  # nothing of it is random


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(Fault, match="halves the sides 2 times: they must be multiples of 4, not 18x18"):
        star_gan_v2(StarGANv2Config(**SMALL), shape(18))
    with pytest.raises(Fault, match=r"system\.levels 4: 16 pixels are halved to less than 2"):
        star_gan_v2(StarGANv2Config(**(SMALL | {"levels": 4})), shape(16))
