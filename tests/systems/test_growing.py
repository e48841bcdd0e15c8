"""PG-GAN and StyleGAN: growth as a function of the images seen, and what their layers compute, in closed form."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.faults import Fault
from components.models.card import GenerateConfig
from components.models.generator import Generator
from components.models.sheets import mixes
from components.models.trained import Trained
from components.networks.equalised import (
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchDeviation,
    pixel_norm,
)
from components.networks.growing import Growing, blur, shown_at
from components.networks.pg_gan import PGGANDiscriminator, PGGANGenerator
from components.networks.style_gan import StyleGANGenerator, adain
from components.samples.domain import Domain, Mixture
from components.samples.task import Task
from components.systems import build
from components.systems.generation.growing import GrowthConfig
from components.systems.generation.pg_gan import PGGANConfig
from components.systems.generation.style_gan import StyleGANConfig
from components.systems.system import Batch, Given, Moment, Shape, System
from components.training.graphs import _Watched
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from tests.reliability.ranks import together
from tests.staged import fit_whole_and_cut
from tests.systems.test_every_system import assert_same_weights, run_of
from tests.training.helpers import weights_of

SHAPE = Shape(None, Domain(kind="image", size=(32, 32)))
GROWTH = {"start": 8, "steady": 100, "fade": 50}
CONFIGS = {
    "pg_gan": PGGANConfig(latent=8, width=4, growth=GROWTH),
    "style_gan": StyleGANConfig(latent=8, width=4, mapping=2, growth=GROWTH),
}
PUBLISHED = {  # side, width and latent; generator and discriminator
    "pg_gan": [
        (1024, 512, 512, 23_079_115, 23_087_249),
        (64, 512, 512, 22_490_383, 22_498_049),
        (32, 128, 128, 1_296_908, 1_298_689),
    ],
    "style_gan": [
        (1024, 512, 512, 26_219_627, 23_087_249),
        (256, 512, 512, 26_086_229, None),
        (64, 512, 512, 25_137_935, 22_498_049),
    ],
}
ALPHAS = (0.0, 0.3, 1.0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def small(name: str, size: int = 32, **changed: object) -> System:
    torch.manual_seed(0)
    config = CONFIGS[name].model_copy(update=changed)
    system = build(config, Shape(None, Domain(kind="image", size=(size, size))))
    for parameter in system.networks.parameters():  # what starts as 0, 1 or alike says nothing
        parameter.data += 0.1 * torch.randn_like(parameter)
    return system


def drawn(generator: Growing, level: int, alpha: float | None) -> Tensor:
    """Pictures of one level, of the same latents and noise whatever the level."""
    latent = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    if isinstance(generator, PGGANGenerator):
        return generator.at(latent, level, alpha)
    assert isinstance(generator, StyleGANGenerator)
    random = torch.Generator().manual_seed(2)
    noise = [torch.randn(3, 1, *side, generator=random) for side in generator.sides]
    return generator.synthesis(generator.each(latent), noise, level, alpha)


# Counts


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in PUBLISHED.items() for case in cases])
def test_the_published_counts(name, case):
    side, width, latent, generator, discriminator = case
    config = CONFIGS[name].model_copy(update={"width": width, "latent": latent})
    if name == "style_gan":
        config = config.model_copy(update={"mapping": 8})
    with torch.device("meta"):
        networks = build(config, Shape(None, Domain(kind="image", size=(side, side)))).networks
    assert count(networks["generator"]) == generator
    assert discriminator in (count(networks["discriminator"]), None)
    if name == "style_gan":
        assert count(networks["generator"].mapping) == 8 * (512 * 512 + 512) == 2_101_248


# Layers


def test_weights_are_scaled_when_they_are_used():
    conv, linear = EqualisedConv2d(3, 5, 3), EqualisedLinear(6, 2, gain=1, rate=0.01)
    for layer in (conv, linear):
        nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 4, 4)
    by_hand = F.conv2d(x, conv.weight * math.sqrt(2 / 27), conv.bias, padding=1)
    assert torch.allclose(conv(x), by_hand, atol=1e-6)
    y = torch.randn(4, 6)
    assert torch.allclose(linear(y), y @ (0.01 / math.sqrt(6) * linear.weight.T) + 0.01 * linear.bias, atol=1e-6)
    torch.manual_seed(0)
    deviations = [
        EqualisedConv2d(64, 64, 3).weight.std().item(),
        EqualisedLinear(256, 256, rate=0.01).weight.std().item(),
    ]
    assert deviations == pytest.approx([1, 100], rel=0.02)


def test_the_first_layer_is_linear_with_a_gain_of_a_quarter():
    """Its kernel of 4 with a padding of 3 over one pixel is the paper's linear layer to 4x4."""
    start = EqualisedConv2d(6, 5, 4, padding=3)
    nn.init.normal_(start.bias)
    latent = torch.randn(2, 6)
    weight = start.weight.flip(2, 3) * (math.sqrt(2) / 4 / math.sqrt(6))
    by_hand = torch.einsum("ni,oihw->nohw", latent, weight) + start.bias[:, None, None]
    assert torch.allclose(start(latent[:, :, None, None]), by_hand, atol=1e-6)


def test_pixel_norm_divides_by_the_root_mean_square_of_the_channels():
    x = torch.randn(2, 5, 3, 3) * 7
    by_hand = x / x.pow(2).mean(dim=1, keepdim=True).sqrt()
    assert torch.allclose(pixel_norm(x), by_hand, atol=1e-5)
    assert torch.allclose(pixel_norm(x).square().mean(dim=1), torch.ones(2, 3, 3), atol=1e-5)


def test_adain_is_instance_norm_with_a_deviation_and_a_mean_of_the_style():
    x, style = torch.randn(2, 3, 6, 6) * 4 + 2, torch.randn(2, 6)
    factor, mean = style[:, :3, None, None], style[:, 3:, None, None]
    assert torch.allclose(adain(x, style), F.instance_norm(x, eps=1e-8) * (1 + factor) + mean, atol=1e-5)


def test_the_blur_is_binomial_and_keeps_what_is_even():
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2] = 16
    assert blur(x)[0, 0, 1:4, 1:4].tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert torch.allclose(blur(torch.ones(2, 3, 8, 8))[:, :, 1:-1, 1:-1], torch.ones(1))


def test_noise_changes_a_layer_as_much_as_its_strength():
    generator = small("style_gan").networks["generator"]
    layer = generator.synthesis.layers[1]
    nn.init.zeros_(layer.strength)
    x, w = torch.randn(2, 4, 4, 4), torch.randn(2, 8)
    one, two = torch.randn(2, 2, 1, 4, 4)
    assert torch.equal(layer(x, w, one), layer(x, w, two))
    with torch.no_grad():
        layer.strength[1] = 0.5
    other = layer(x + 0.5 * one * torch.tensor([0, 1, 0, 0]).view(1, 4, 1, 1), w, torch.zeros_like(one))
    assert torch.allclose(layer(x, w, one), other, atol=1e-6)


# The deviation


def deviation_by_hand(x: Tensor, group: int) -> Tensor:
    """The added channel, (N, 1, H, W): picture i belongs to the group i modulo their number."""
    groups = len(x) // group
    own = [(x[i::groups].var(dim=0, correction=0) + 1e-8).sqrt().mean() for i in range(groups)]
    return torch.stack([own[i % groups] for i in range(len(x))])[:, None, None, None].expand(-1, 1, *x.shape[2:])


@pytest.mark.parametrize("group", [None, 2, 4])
def test_the_deviation_is_that_of_each_group(group):
    x = torch.randn(8, 3, 4, 4) * torch.arange(1, 9)[:, None, None, None]
    made = MinibatchDeviation(group)(x)
    assert torch.equal(made[:, :3], x)
    assert torch.allclose(made[:, 3:], deviation_by_hand(x, group or 8), atol=1e-6)


def joined() -> Tensor:
    return torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def penalised(group: int | None, x: Tensor) -> tuple[Tensor, Tensor]:
    """Values of a critic with the deviation in it, and the gradient of a penalty by its weight."""
    torch.manual_seed(0)
    critic = nn.Sequential(MinibatchDeviation(group), nn.Conv2d(4, 2, 3), nn.Tanh(), nn.Conv2d(2, 1, 2)).double()
    x = x.clone().requires_grad_()
    values = critic(x)
    (slope,) = torch.autograd.grad(values.sum(), x, create_graph=True)
    (values.mean() + slope.flatten(1).norm(dim=1).square().mean()).backward()
    return values.detach(), critic[1].weight.grad


def deviation_main(group: Group, folder: str) -> None:
    for size in (None, 4):
        values, gradient = penalised(size, joined().chunk(2)[group.rank])
        group.mean(gradient)
        torch.save((values, gradient), f"{folder}/{size}_{group.rank}.pt")


def test_the_deviation_of_two_ranks_is_that_of_their_joined_batch(tmp_path):
    together(2, tmp_path, deviation_main, str(tmp_path))
    for size in (None, 4):
        values, gradient = penalised(size, joined())
        found = [torch.load(tmp_path / f"{size}_{rank}.pt") for rank in range(2)]
        assert torch.allclose(torch.cat([part for part, _ in found]), values, atol=1e-12)
        assert torch.allclose(found[0][1], gradient, rtol=1e-6, atol=1e-10)
        assert gradient.abs().max() > 1e-3


# Growth


def test_growth_is_a_function_of_the_images_seen():
    growth = GrowthConfig(start=8, steady=100, fade=50, rates={16: 2, 32: 3})
    seen = {0: 1, 99: 1, 100: 1, 101: 1.02, 125: 1.5, 149: 1.98, 150: 2, 250: 2, 275: 2.5, 300: 3, 10**9: 3}
    assert {images: growth.grown(images, levels=3) for images in seen} == pytest.approx(seen)
    assert [growth.rate(level) for level in range(4)] == [1, 1, 2, 3]


@pytest.mark.parametrize("name", CONFIGS)
def test_stages_are_a_level_alone_and_a_level_that_fades_in(name):
    system = small(name)
    stages = [
        system.course.stage(Moment(images, 300, images)) for images in (0, 100, 101, 149, 150, 250, 251, 300, 9999)
    ]
    assert stages == [(1, 0), (1, 0), (2, 1), (2, 1), (2, 0), (2, 0), (3, 1), (3, 0), (3, 0)]
    system.course.begin(system.networks, Moment(0, 300, 130))
    generator = system.networks["generator"]
    assert (generator.level, generator.share) == (2, pytest.approx(0.6))
    assert generator.alpha().item() == pytest.approx(0.6)


def test_a_run_that_ends_before_it_has_grown_up_says_so():
    ends = small("pg_gan").course.ends
    assert ends(Moment(9, 9, 300)) == ()
    for images, side in ((299, 16), (240, 16), (100, 8)):
        (said,) = ends(Moment(9, 9, images))
        assert said.startswith(f"system.growth: 32 pixels are reached after 300 images, and the run has {images}:")
        assert f"the detail of {side} pixels;" in said


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_generator_fades_exactly_from_the_smaller_to_the_larger(name, level):
    generator = small(name).networks["generator"]
    larger, smaller = drawn(generator, level, None), drawn(generator, level - 1, None)
    old = F.interpolate(smaller, scale_factor=2.0, mode="nearest")
    mixed = {alpha: drawn(generator, level, alpha) for alpha in ALPHAS}
    assert torch.equal(mixed[0.0], old)
    assert torch.equal(mixed[1.0], larger)
    assert torch.allclose(mixed[0.3], 0.7 * old + 0.3 * larger, atol=1e-5)
    assert not torch.allclose(old, larger, atol=1e-2)


@pytest.mark.parametrize("blurred", [False, True])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_discriminator_fades_exactly_from_the_smaller_to_the_larger(level, blurred):
    torch.manual_seed(0)
    critic = PGGANDiscriminator(3, 3, 4, None, blurred)
    pictures = torch.randn(4, 3, 4 * 2**level, 4 * 2**level)
    values = {alpha: critic(pictures, level, alpha) for alpha in (*ALPHAS, None)}
    assert torch.equal(values[0.0], critic(F.avg_pool2d(pictures, 2), level - 1, None))
    assert torch.equal(values[1.0], values[None])
    assert not torch.allclose(values[0.3], values[None], atol=1e-4)


def test_real_pictures_are_faded_too():
    pictures = torch.rand(2, 3, 32, 32)
    small_ones = F.avg_pool2d(pictures, 4)
    coarse = F.interpolate(F.avg_pool2d(pictures, 8), scale_factor=2.0, mode="nearest")
    alpha = torch.tensor(0.25)
    assert torch.equal(shown_at(pictures, 1, None), small_ones)
    assert torch.allclose(shown_at(pictures, 1, alpha), 0.75 * coarse + 0.25 * small_ones, atol=1e-6)
    assert torch.allclose(shown_at(pictures, 1, torch.tensor(0.0)), coarse, atol=1e-6)
    assert torch.equal(shown_at(pictures, 3, None), pictures)


@pytest.mark.parametrize("name", CONFIGS)
def test_only_levels_that_are_reached_get_a_gradient(name):
    system = small(name)
    for images, used, resting in ((0, {1}, {0, 2, 3}), (130, {1, 2}, {0, 3}), (200, {2}, {0, 1, 3})):
        moment = Moment(0, 300, images)
        moment = Moment(0, 300, images, system.course.stage(moment))
        system.course.begin(system.networks, moment)
        batch: Batch = {"target": torch.rand(4, 3, 32, 32), "seeds": torch.arange(4)}
        system.networks.zero_grad(set_to_none=True)
        for phase in system.phases:
            learned = list(system.networks[phase.learns[0]].parameters())
            torch.stack(list(phase.terms(system.networks, batch, moment).values())).sum().backward(inputs=learned)
        ends = {"to_pictures": used, "from_pictures": used, "blocks": set(range(max(used)))}
        for key, parameter in system.networks.named_parameters():
            parts = key.split(".")
            for end, reached in ends.items():
                if end in parts:
                    level = int(parts[parts.index(end) + 1])
                    assert (parameter.grad is not None) == (level in reached), (key, images)
            if "layers" in parts and "mapping" not in parts:
                assert (parameter.grad is not None) == (int(parts[parts.index("layers") + 1]) // 2 <= max(used)), key
        assert resting


@pytest.mark.parametrize("name", CONFIGS)
def test_terms_look_at_nothing_of_the_moment_but_its_stage(name):
    """So that a GPU can hold each stage as a graph."""
    system = small(name)
    for images in (0, 130, 200):
        moment = Moment(0, 300, images)
        system.course.begin(system.networks, moment)
        watched = _Watched(0, 300, images, system.course.stage(moment))
        batch: Batch = {"target": torch.rand(4, 3, 32, 32), "seeds": torch.arange(4)}
        for phase in system.phases:
            phase.terms(system.networks, batch, watched)
        assert not getattr(watched, "looked", False)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("images", [0, 130, 200, 300])
def test_a_version_is_used_as_far_as_it_has_grown(name, images):
    system, other = small(name), small(name)
    system.course.begin(system.networks, Moment(0, 300, images))
    other.networks.load_state_dict(system.networks.state_dict())
    generator = system.networks["generator"]
    run, given = system.uses["generator"].run, Given(torch.arange(3))
    made = run(generator, given)
    assert made.shape == (3, 3, 32, 32)
    assert torch.equal(made, run(other.networks["generator"], given))
    side = 4 * 2**generator.level
    blocks = F.interpolate(F.avg_pool2d(made, 32 // side), scale_factor=32 / side, mode="nearest")
    assert torch.allclose(made, blocks, atol=1e-5)


def fading_step(name: str, part: slice, group: Group | None = None) -> list[Tensor]:
    """The gradients of a step in a fade, of a part of eight pictures, and the average of W after it."""
    system = small(name)
    moment = Moment(0, 300, 130, system.course.stage(Moment(0, 300, 130)))
    system.course.begin(system.networks, moment)
    target = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    batch: Batch = {"target": target[part], "seeds": (torch.arange(8) * 7919)[part]}
    found = []
    for phase in system.phases:
        learned = list(system.networks[phase.learns[0]].parameters())
        torch.stack(list(phase.terms(system.networks, batch, moment).values())).sum().backward(inputs=learned)
        found += [parameter.grad for parameter in learned if parameter.grad is not None]
    if group is not None:
        group.average(found)
    return [*found, *([system.networks["generator"].average] if name == "style_gan" else [])]


def fading_main(group: Group, folder: str) -> None:
    for name in CONFIGS:
        found = fading_step(name, slice(4 * group.rank, 4 * group.rank + 4), group)
        torch.save(found, f"{folder}/{name}_{group.rank}.pt")


def test_two_ranks_take_a_fading_step_of_one_process(tmp_path):
    together(2, tmp_path, fading_main, str(tmp_path))
    for name in CONFIGS:
        whole = fading_step(name, slice(0, 8))
        parts = [torch.load(tmp_path / f"{name}_{rank}.pt") for rank in range(2)]
        for one, *two in zip(whole, *parts, strict=True):
            assert torch.equal(*two)
            assert torch.allclose(one, two[0], rtol=1e-3, atol=1e-5 * max(1, one.abs().max().item()))
            assert one.abs().max() > 0


STEPS = 8  # of 4 pictures: the levels of 16 and 32 pixels fade in from steps 2 and 5 on, and are alone from 3 and 6 on
CUTS = (2, 3, 5, 6)


SLOW = (("pg_gan", 2), ("style_gan", 1))


def grown_runs(name, shards, folder) -> tuple[Run, list[Run]]:
    growth = {"start": 8, "steady": 6, "fade": 6}
    system = {"latent": 8, "width": 4, "growth": growth} | ({"mapping": 2} if name == "style_gan" else {})
    settings = {"steps": STEPS, "checkpoint_every": 5, "validation_samples": 2}
    parts = ("whole", *(f"cut_{until}" for until in CUTS))
    whole, *cuts = [run_of(name, shards, folder / part, system, **settings) for part in parts]
    return whole, cuts


@pytest.mark.parametrize(
    ("name", "world"),
    [("pg_gan", 1), ("style_gan", 2), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_a_resume_at_each_side_of_each_change_is_exact(tiny_shards, tmp_path, name, world):
    whole, cuts = grown_runs(name, tiny_shards, tmp_path)
    together(world, tmp_path, fit_whole_and_cut, whole, cuts, CUTS)
    for run in cuts:
        assert_same_weights(whole, run)


@pytest.mark.parametrize("name", CONFIGS)
def test_optimizers_begin_anew_where_a_fade_begins_and_ends(tiny_shards, tmp_path, name):
    whole, _ = grown_runs(name, tiny_shards, tmp_path)
    system = build(whole.system, whole.shape())
    stages = [system.course.stage(Moment(step, STEPS, 4 * step)) for step in range(STEPS)]
    assert len(set(stages)) == 5
    last = stages.index(stages[-1])
    fit(whole, Group())
    for state in whole.checkpoints.last().state()["optimizers"].values():
        steps = {int(moments["step"]) for moments in state["state"].values()}
        assert max(steps) == STEPS - last
    assert weights_of(whole)["generator.grown"] == 3
    logged = [json.loads(line) for line in (whole.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    grown = [record["terms"]["discriminator.grown"] for record in logged if "terms" in record]
    assert grown == pytest.approx([1, 1, 1 + 2 / 6, 2, 2, 2 + 2 / 6, 3, 3])


# Styles


def styled() -> tuple[System, StyleGANGenerator]:
    system = small("style_gan")
    generator = system.networks["generator"]
    for layer in generator.synthesis.layers:
        nn.init.zeros_(layer.strength)  # or each seed's own noise would be seen
    generator.average.copy_(torch.randn(8))
    return system, generator


def test_a_truncation_of_1_changes_nothing_and_of_0_gives_the_average_picture():
    system, generator = styled()
    use, seeds = system.uses["generator"], torch.arange(3)
    full = use.run(generator, Given(seeds))
    assert torch.allclose(use.run(generator, Given(seeds, truncation=torch.ones(3))), full, atol=1e-6)
    average = generator(
        generator.each(generator.average.expand(3, -1)), [torch.zeros(3, 1, *s) for s in generator.sides]
    )
    assert torch.allclose(use.run(generator, Given(seeds, truncation=torch.zeros(3))), average, atol=1e-6)
    assert not torch.allclose(full, average, atol=1e-2)
    w = torch.randn(3, 8, 8)
    near = generator.truncated(w, torch.full((3,), 0.7), layers=5)
    assert torch.equal(near[:, 5:], w[:, 5:])
    assert torch.allclose(near[:, :5], generator.average + 0.7 * (w[:, :5] - generator.average), atol=1e-6)


def test_the_way_between_seeds_is_straight_in_w():
    system, generator = styled()
    use, seeds, towards = system.uses["generator"], torch.arange(3), torch.arange(3) + 10
    ends = [use.run(generator, Given(each)) for each in (seeds, towards)]
    for share, end in zip((0.0, 1.0), ends, strict=True):
        way = Given(seeds, towards=towards, share=torch.full((3,), share))
        assert torch.allclose(use.run(generator, way), end, atol=1e-4)
    stream = system.uses["generator"].run.__self__
    first, second = (stream._drawn(generator, each)[0] for each in (seeds, towards))
    middle = generator(generator.each((first + second) / 2), [torch.zeros(3, 1, *s) for s in generator.sides])
    half = Given(seeds, towards=towards, share=torch.full((3,), 0.5))
    assert torch.allclose(use.run(generator, half), middle, atol=1e-5)


def test_the_styles_of_some_layers_are_anothers():
    system, generator = styled()
    use, seeds, towards = system.uses["generator"], torch.arange(3), torch.arange(3) + 10
    own, theirs = (use.run(generator, Given(each)) for each in (seeds, towards))

    def mixed(layers: range) -> Tensor:
        share = torch.tensor([[float(layer in layers) for layer in range(8)]] * 3)
        return use.run(generator, Given(seeds, towards=towards, share=share))

    assert torch.equal(mixed(range(0)), own)
    assert torch.allclose(mixed(range(8)), theirs, atol=1e-5)
    stream = use.run.__self__
    first, second = (generator.each(stream._drawn(generator, each)[0]) for each in (seeds, towards))
    coarse = torch.cat([second[:, :4], first[:, 4:]], dim=1)
    by_hand = generator(coarse, [torch.zeros(3, 1, *s) for s in generator.sides])
    assert torch.allclose(mixed(range(4)), by_hand, atol=1e-5)
    assert not torch.allclose(mixed(range(4)), mixed(range(4, 8)), atol=1e-2)


def generator_of(name: str, folder: Path) -> Generator:
    """That of a system of random weights."""
    config, weights = CONFIGS[name], dict(small(name).networks.state_dict())
    lineage = {"checkpoint": "last", "step": 1, "key": "k"}
    (card,) = Trained(weights, config, SHAPE, Task(target="photo"), GenerateConfig(), lineage).write(folder)
    return Generator.load(folder / card.name, "cpu")


def test_a_sheet_shows_styles_of_one_picture_in_another(tmp_path):
    generator = generator_of("style_gan", tmp_path / "styled")
    sheet, cell = mixes(generator), 34
    assert sheet.shape == (5 * cell, 8 * cell, 3)  # 32 pixels have no fine layers
    shown = sheet.reshape(5, cell, 8, cell, 3)[:, 1:-1, :, 1:-1].swapaxes(1, 2)
    assert (shown[0, 0] == 255).all()
    others, own = generator.make(seeds=range(8, 15)), generator.make(seeds=range(4))
    assert np.abs(shown[0, 1:].astype(int) - others).max() <= 1
    assert np.abs(shown[1:, 0].astype(int) - own).max() <= 1
    coarse = generator.make(seeds=[1], towards=[10], shares=[[1.0] * 4 + [0.0] * 4])
    assert np.abs(shown[2, 3].astype(int) - coarse[0]).max() <= 1
    plain = generator_of("pg_gan", tmp_path / "plain")
    with pytest.raises(Fault, match="pg_gan: has no style for each layer"):
        plain.make(seeds=[1], towards=[2], shares=[[1.0] * 8])


def test_the_average_of_w_moves_by_its_decay_and_is_saved(tiny_shards, tmp_path):
    system = small("style_gan", mixing=0.0)
    generator = system.networks["generator"]
    w = torch.randn(5, 8)
    before = generator.average.clone()
    generator.remember(w, 0.995)
    assert torch.allclose(generator.average, 0.995 * before + 0.005 * w.mean(dim=0), atol=1e-7)
    run = run_of("style_gan", tiny_shards, tmp_path)
    fit(run, Group())
    assert weights_of(run)["generator.average"].abs().max() > 0


@pytest.mark.parametrize(("mixing", "least", "most"), [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.4, 0.6)])
def test_styles_are_mixed_as_often_as_the_param_says(mixing, least, most, monkeypatch):
    system, generator = small("style_gan", mixing=mixing), None
    generator = system.networks["generator"]
    seen: list[Tensor] = []
    monkeypatch.setattr(generator.synthesis, "forward", lambda w, *_: (seen.append(w), torch.zeros(len(w), 3, 8, 8))[1])
    stream = system.uses["generator"].run.__self__
    stream.make(generator, torch.arange(400) * 7919, 1, None)
    (w,) = seen
    assert w.shape == (400, 4, 8)
    changes = (w[:, 1:] != w[:, :-1]).any(dim=2)
    assert least <= changes.any(dim=1).float().mean() <= most
    assert changes.sum(dim=1).max() <= 1
    if mixing == 1:
        assert (changes.float().mean(dim=0) - 1 / 3).abs().max() < 0.08  # each layer alike


# Bad input


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("size", "said"), [((48, 48), "not 48x48"), ((32, 64), "not 32x64"), ((4, 4), "not 4x4")])
def test_other_sizes_are_refused_by_name(name, size, said):
    with pytest.raises(Fault, match=f"system {name} doubles .* {said}; set another shard.cut.image_size"):
        build(CONFIGS[name], Shape(None, Domain(kind="image", size=size)))


@pytest.mark.parametrize("name", CONFIGS)
def test_points_are_refused_and_label_maps_are_probabilities(name):
    with pytest.raises(Fault, match=f"system {name} has networks for pictures alone"):
        build(CONFIGS[name], Shape(None, Domain(kind="point", mixture=Mixture(centres=((0, 0), (1, 1)), std=0.1))))
    labels = Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)), size=(16, 16))
    system = build(CONFIGS[name], Shape(None, labels))
    for grown in (1.0, 1.5, 2.0):
        system.networks["generator"].grow(grown)
        made = system.uses["generator"].run(system.networks["generator"], Given(torch.arange(3)))
        assert made.shape == (3, 2, 16, 16)
        assert torch.allclose(made.sum(dim=1), torch.ones(3, 16, 16), atol=1e-5)


@pytest.mark.parametrize("start", [12, 64])
def test_a_start_that_growth_never_leaves_is_refused(start):
    config = PGGANConfig(growth={"start": start})
    with pytest.raises(Fault, match=rf"system\.growth\.start {start}: .* 4 to the pictures' 32"):
        build(config, SHAPE)


def test_a_batch_that_groups_do_not_divide_is_refused():
    CONFIGS["pg_gan"].require_batch(4, 2)
    CONFIGS["pg_gan"].require_batch(3, 1)  # smaller than a group: one group
    with pytest.raises(Fault, match=r"system\.group 4 does not divide train\.batch_size 6"):
        CONFIGS["pg_gan"].require_batch(3, 2)
