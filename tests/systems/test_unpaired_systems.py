"""What is particular to each system that learns without pairs."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from components.faults import Fault
from components.models.card import Card
from components.models.generator import Generator
from components.objectives.history import History
from components.params import parse_params
from components.samples.domain import Domain
from components.samples.task import Task
from components.systems import build, unpaired_systems
from components.systems.parts import EncoderDecoderConfig, PatchGANConfig, ResNetConfig
from components.systems.system import Given, Moment, Shape, System
from components.systems.translation.bigan import BiGANConfig
from components.systems.translation.cogan import CoGANConfig
from components.systems.translation.cyclegan import CycleGANConfig
from components.systems.translation.discogan import DiscoGANConfig
from components.systems.translation.feature_gan import FeatureGANConfig
from components.systems.translation.simgan import SimGANConfig

START = Moment(step=0, steps=1, images=0)

ROOT = Path(__file__).parents[2]
COLOUR = Domain(kind="image")
LABELS = Domain(kind="label", classes=("a", "b", "c", "d"), palette=((0, 0, 0), (80, 0, 0), (0, 80, 0), (0, 0, 80)))
DRAWN = LABELS.model_copy(update={"encoding": "colour"})
SMALL = {"generator": ResNetConfig(width=4, blocks=1), "discriminator": PatchGANConfig(width=4, norm="instance")}


def made(config, source=COLOUR, target=COLOUR, size=(32, 32)) -> System:
    torch.manual_seed(0)
    return build(config, Shape(source.at(size), target.at(size)))


def some_batch(source=3, target=3):
    torch.manual_seed(1)
    pictures = {"source": torch.rand(2, source, 32, 32) * 2 - 1, "target": torch.rand(2, target, 32, 32) * 2 - 1}
    return pictures | {"seeds": torch.arange(2)}


def terms(system: System, batch) -> dict[str, float]:
    """All terms of a step in which nothing is learned."""
    return {
        f"{phase.name}.{name}": term.item()
        for phase in system.phases
        for name, term in phase.terms(system.networks, batch, START).items()
    }


def test_unpaired_systems_are_named():
    assert unpaired_systems() == ["cyclegan", "discogan", "cogan", "bigan", "simgan", "feature_gan"]


def test_bigan_tells_pairs_with_a_made_target_from_pairs_with_a_made_source():
    system, batch = made(BiGANConfig(pool_size=0, **SMALL), LABELS), some_batch(source=4)
    seen = []
    system.networks["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    figures = terms(system, batch)
    forward, backward = system.uses.values()
    fake = forward.run(system.networks["generator"], Given(batch["seeds"], batch["source"]))
    fake_back = backward.run(system.networks["generator_back"], Given(batch["seeds"], batch["target"]))
    pair, pair_back = torch.cat([batch["source"], fake], 1), torch.cat([fake_back, batch["target"]], 1)
    assert [x.shape for x in seen] == [(2, 7, 32, 32)] * 4
    for x, y in zip(seen, (pair, pair_back, pair, pair_back), strict=True):
        assert torch.allclose(x, y, atol=1e-6)
    logits, logits_back = (system.networks["discriminator"](x) for x in (pair, pair_back))
    assert figures["generators.adversarial"] == pytest.approx((logits - 1).square().mean().item(), rel=1e-4)
    assert figures["generators.adversarial_back"] == pytest.approx(logits_back.square().mean().item(), rel=1e-4)
    assert figures["discriminator.fake"] == pytest.approx(0.5 * logits.square().mean().item(), rel=1e-4)
    assert figures["discriminator.real"] == pytest.approx(0.5 * (logits_back - 1).square().mean().item(), rel=1e-4)


def on_source(use):
    """A use as a function of its network, its sources and its seeds."""
    return lambda network, source, seeds: use.run(network, Given(seeds, source))


def test_discogan_reconstructs_both_ways_in_squared_error():
    config = DiscoGANConfig(
        patch_size=16,
        generator=EncoderDecoderConfig(width=4, levels=3, dropout=0, norm="instance"),
        discriminator=PatchGANConfig(width=4, norm="instance"),
        lambda_reconstruction=3,
        lambda_features=2,
    )
    system, batch = made(config), some_batch()
    figures = terms(system, batch)
    networks, forward, backward = system.networks, *(on_source(use) for use in system.uses.values())
    fake = forward(networks["generator"], batch["source"], batch["seeds"])
    again = backward(networks["generator_back"], fake, batch["seeds"])
    error = (again - batch["source"]).square().mean().item()
    assert figures["generators.reconstruction"] == pytest.approx(3 * error, rel=1e-4)
    real, made_up = (networks["discriminator"].features(x)[:-1] for x in (batch["target"], fake))
    apart = sum((a.mean(0) - b.mean(0)).square().mean().item() for a, b in zip(real, made_up, strict=True))
    assert figures["generators.features"] == pytest.approx(2 * apart, rel=1e-3)
    without = terms(made(config.model_copy(update={"lambda_features": 0.0})), some_batch())
    assert "generators.features" not in without


def test_the_published_discogan_has_no_skips_and_sees_the_whole_picture():
    system = made(DiscoGANConfig(), size=(64, 64))
    # Four stride-2 convolutions to 64, 128, 256, 512 and four back, the inner ones normalised.
    down = 3 * 64 * 16 + (64 * 128 + 128 * 256 + 256 * 512) * 16
    up = (512 * 256 + 256 * 128 + 128 * 64) * 16 + 64 * 3 * 16 + 3
    norms = 2 * (128 + 256) + 2 * (256 + 128 + 64)
    assert system.num_parameters()["generator"] == down + up + norms
    picture = torch.zeros(1, 3, 64, 64, requires_grad=True)
    network = system.networks["discriminator"].eval()
    logits = network(picture)
    logits[..., logits.shape[-2] // 2, logits.shape[-1] // 2].sum().backward()
    assert (picture.grad != 0).any(dim=1).all()


def test_simgan_keeps_near_its_source_and_remembers():
    system, batch = made(SimGANConfig(lambda_self=4, **SMALL)), some_batch()
    figures = terms(system, batch)
    fake = system.uses["forward"].run(system.networks["generator"], Given(batch["seeds"], batch["source"]))
    kept = (fake - batch["source"]).abs().mean().item()
    assert figures["generator.self"] == pytest.approx(4 * kept, rel=1e-4)
    assert isinstance(system.memories["history"], History)
    assert torch.allclose(system.memories["history"].state_dict()["pictures"], fake, atol=1e-6)


def test_feature_gan_compares_features_of_a_network_that_is_no_part_of_it():
    system, batch = made(FeatureGANConfig(**SMALL)), some_batch()
    assert set(system.networks) == {"generator", "discriminator"}
    figures = terms(system, batch)
    assert figures["generator.features"] > 0

    class Copies(nn.Module):
        def forward(self, x, seeds):
            return torch.atanh(x.clamp(-0.999, 0.999))

    system.networks["generator"] = Copies()
    assert terms(system, batch)["generator.features"] < 0.02 * figures["generator.features"]


@pytest.mark.parametrize("config", [SimGANConfig(), FeatureGANConfig(), CycleGANConfig()])
@pytest.mark.parametrize("ends", [(LABELS, COLOUR), (COLOUR, LABELS)])
def test_what_compares_source_with_target_needs_labels_in_colour(config, ends):
    with pytest.raises(Fault, match=r"set train\.labels to colour"):
        made(config, *ends)
    small = config.model_copy(update=SMALL)
    assert made(small, *(DRAWN if end is LABELS else end for end in ends))


def test_cogan_finds_the_latent_of_a_picture_it_drew():
    """With enough steps, from another start, both the picture and its counterpart come back."""
    config = CoGANConfig(latent=6, width=8, norm="none", inversion_steps=400)
    system = made(config)
    generator = system.networks["generator"].eval().requires_grad_(False)
    for module in generator.modules():  # far from the flat pictures of the papers' initialisation
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", mode="fan_out")
    for direction, translation in enumerate(system.uses.values()):
        latents = torch.randn(2, 6, generator=torch.Generator().manual_seed(5))
        given = torch.tanh(generator(latents, direction))
        wanted = torch.tanh(generator(latents, 1 - direction))
        with torch.inference_mode():
            found = translation.run(generator, Given(torch.tensor([11, 12]), given))
            start = made(config.model_copy(update={"inversion_steps": 0})).uses
            begun = list(start.values())[direction].run(generator, Given(torch.tensor([11, 12]), given))
        assert (found - wanted).square().mean() < 0.05 * (begun - wanted).square().mean()


def test_cogan_inverts_under_any_mode_and_leaves_no_gradient():
    system = made(CoGANConfig(latent=4, width=4, norm="instance", inversion_steps=3))
    network, picture, seeds = system.networks["generator"], torch.rand(1, 3, 32, 32), torch.tensor([3])
    with torch.inference_mode():
        one = system.uses["forward"].run(network, Given(seeds, picture))
    with torch.no_grad():
        two = system.uses["forward"].run(network, Given(seeds, picture))
        other = system.uses["forward"].run(network, Given(torch.tensor([4]), picture))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)  # the seed decides where the search begins
    assert not two.requires_grad
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_cogan_translates_a_picture_alone_as_in_any_batch(direction):
    """Through the translator, to the byte: a search of many steps would make the least difference a large one."""
    config = CoGANConfig(latent=4, width=4, norm="batch", inversion_steps=60)
    system = made(config)
    translation, fields = system.uses[direction], {"checkpoint": "last", "step": 1, "key": "k"}
    card = Card(
        **fields,
        system=config,
        use=direction,
        source=COLOUR.at((32, 32)),
        target=COLOUR.at((32, 32)),
        task=Task(source="a", target="b"),
        mode="eval",
        batch_size=4,
        weights_sha256="0",
    )
    translator = Generator(card, system.networks["generator"], translation, torch.device("cpu"))
    pictures = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    together = translator.translate(pictures)
    assert len({picture.tobytes() for picture in together}) == 6
    for picture, expected in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(translator.translate(picture[None])[0], expected)


def test_cogan_shares_what_is_far_from_the_pictures():
    system = made(CoGANConfig(latent=4, width=4, norm="instance"))
    for name, near in (("generator", "heads"), ("discriminator", "stems")):
        network = system.networks[name]
        network(torch.rand(2, 4) if name == "generator" else torch.rand(2, 3, 32, 32), 0).sum().backward()
        learning = {key for key, p in network.named_parameters() if p.grad is not None}
        assert any(key.startswith("tied.") for key in learning)
        assert {key.split(".")[1] for key in learning if key.startswith(near)} == {"0"}


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((8, 8), r"system\.untied: 2 levels, and pictures of 8x8 have 1"),
        ((32, 36), "must be multiples of 8, not 32x36"),
    ],
)
def test_cogan_refuses_sizes_by_name(size, message):
    with pytest.raises(Fault, match=message):
        made(CoGANConfig(), size=size)


@pytest.mark.parametrize("name", unpaired_systems())
def test_an_unknown_objective_is_refused_with_the_known_ones(name):
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["system"] = {"name": name, "adversarial": "perceptual"}
    with pytest.raises(
        Fault, match=r"^params\.yaml: system\.adversarial: .*'vanilla', 'minimax', 'lsgan', 'hinge' or"
    ) as fault:
        parse_params(values, "params.yaml")
    assert "\n" not in str(fault.value)
