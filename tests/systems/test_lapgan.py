"""LAPGAN: the pyramid and its inverse, levels that learn by themselves, and the chain that they are in use."""

import pytest
import torch
from torch import nn

from components.faults import Fault
from components.networks.lapgan import BaseDiscriminator, LevelDiscriminator, LevelGenerator, PyramidGenerator
from components.networks.pyramid import down, pyramid, residuals, up
from components.samples.domain import Domain
from components.systems.generation.lapgan import LAPGANConfig, lapgan
from components.systems.system import Given, Moment, Shape, System
from components.training.group import Group
from components.training.loop import fit
from tests.systems.test_every_system import SMALL, assert_same_weights, run_of

PHOTO, KIND = Domain(kind="image"), Domain(kind="category", classes=tuple("abc"))
NOW = Moment(0, 10, 0)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def dyadic(*shape: int) -> torch.Tensor:
    """Pictures whose values are 128ths, of which the filters make sums without rounding."""
    return torch.randint(-128, 129, shape, generator=torch.Generator().manual_seed(0)) / 128


def small(size: tuple[int, int] = (32, 32), **settings) -> System:
    torch.manual_seed(0)
    config = LAPGANConfig(latent=5, width=4, base_widths=(16,), critic_widths=(8,), dropout=0, **settings)
    return lapgan(config, Shape(None, PHOTO.at(size), asked=KIND if config.conditional else None))


def test_the_levels_of_16_and_32_pixels_have_the_counts_of_the_authors_layers():
    assert count(LevelGenerator(3, (32, 32), 64, 10)) == 232_579
    assert count(LevelDiscriminator(3, (32, 32), 64, 0.5, 10)) == 129_409
    whole = PyramidGenerator(100, 3, [(8, 8), (16, 16), (32, 32)], (1200, 1200), 64, 10)
    base = (110 * 1200 + 1200) + (1200 * 1200 + 1200) + (1200 * 192 + 192)
    assert count(whole) == base + 232_579 + (232_579 - 11 * (32 * 32 - 16 * 16))
    assert count(BaseDiscriminator(3, (8, 8), (600, 600), 0.5, 10)) == 203 * 600 + 601 * 600 + 601


@pytest.mark.parametrize("size", [(8, 8), (16, 40), (24, 32)])
def test_a_pyramid_gives_the_picture_back_bit_for_bit(size):
    pictures = dyadic(2, 3, *size)
    smallest, *_ = pyramid(pictures, 3)
    assert smallest.shape[2:] == (size[0] // 8, size[1] // 8)
    for residual in residuals(pictures, 3):
        smallest = up(smallest) + residual
    assert torch.equal(smallest, pictures)


def test_the_filters_are_a_mean_and_a_line():
    slope = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    assert down(slope)[0, 0, 0].tolist() == [0.5, 2.5, 4.5, 6.5]
    assert torch.equal(up(down(slope))[..., 1:-1], slope[..., 1:-1])  # what is linear is kept, but for the edge
    assert torch.equal(up(down(torch.full((1, 1, 8, 8), 0.75))), torch.full((1, 1, 8, 8), 0.75))


class Says(nn.Module):
    """A level that gives the tensor that it holds, whatever it is given."""

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, *_: object) -> torch.Tensor:
        return self.value


def test_sampling_with_the_real_residuals_rebuilds_the_real_picture():
    pictures, generator = dyadic(2, 3, 32, 32), small().networks["generator"]
    generator.base = Says(pyramid(pictures, 2)[0])
    generator.levels = nn.ModuleList(Says(residual) for residual in residuals(pictures, 2))
    assert torch.equal(generator(torch.rand(2, sum(generator.parts))), pictures)


def test_levels_learn_by_themselves_from_real_pictures_of_the_level_below():
    system, batch = small(), {"target": dyadic(4, 3, 32, 32), "seeds": torch.arange(4)}
    assert [phase.name for phase in system.phases] == [
        f"{network}_{level}" for level in range(3) for network in ("discriminator", "generator")
    ]
    generator, own = system.networks["generator"], ["base.", "levels.0.", "levels.1."]
    for phase in system.phases:
        terms = phase.terms(system.networks, batch, NOW)
        system.networks.zero_grad()
        learned = [p for name in phase.learns for p in system.networks[name].parameters()]
        torch.stack(list(terms.values())).sum().backward(inputs=learned)
        if phase.learns == ("generator",):
            moved = {name for name, p in generator.named_parameters() if p.grad is not None and p.grad.any()}
            level = own[int(phase.name[-1])]
            assert moved == {name for name, _ in generator.named_parameters() if name.startswith(level)}
    before = {level: batch[f"fake_{level}"] for level in range(3)}
    with torch.no_grad():  # another level below changes nothing of what a level makes in training
        for parameter in generator.base.parameters():
            parameter.zero_()
    for phase in system.phases[::2]:
        phase.terms(system.networks, batch, NOW)
    assert not torch.equal(batch["fake_0"], before[0])
    assert all(torch.equal(batch[f"fake_{level}"], before[level]) for level in (1, 2))
    chained = system.uses["generator"].run(generator, Given(torch.arange(4)))
    assert not torch.allclose(chained, batch["fake_2"].clamp(-1, 1), atol=0.1)  # but in use they are a chain


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (24, 40), (64, 32)])
def test_pictures_have_the_size_that_is_asked(size):
    system = small(size)
    made = system.uses["generator"].run(system.networks["generator"], Given(torch.arange(2)))
    assert made.shape == (2, 3, *size)
    assert made.abs().max() <= 1
    assert system.networks["generator"].sizes[0] == {28: (14, 14), 24: (12, 20), 64: (16, 8)}.get(size[0], (8, 8))


def test_noise_and_class_decide_what_each_level_adds():
    system = small(conditional=True)
    generator, run = system.networks["generator"], system.uses["generator"].run
    classes, latent = torch.eye(3), torch.rand(1, sum(system.networks["generator"].parts))
    assert system.uses["generator"].needs == {"condition"}
    assert not torch.allclose(*(run(generator, Given(torch.tensor([1]), condition=classes[i : i + 1])) for i in (0, 1)))
    coarse, other = torch.zeros(1, 3, 8, 8), latent.clone()
    other[:, generator.parts[0] : generator.parts[0] + generator.parts[1]] += 1
    added = [generator.refined(coarse, x, 1, classes[i : i + 1]) for x, i in ((latent, 0), (other, 0), (latent, 1))]
    assert not torch.allclose(added[0], added[1])
    assert not torch.allclose(added[0], added[2])
    assert torch.equal(added[0], generator.refined(coarse, latent, 1, classes[:1]))


def test_without_a_class_too_two_steps_are_one_and_a_resumed_one(tiny_shards, tmp_path):
    """With a class: tests/systems/test_every_system.py."""
    settings = SMALL["lapgan"] | {"conditional": False}
    whole, cut = (run_of("lapgan", tiny_shards, tmp_path / part, settings) for part in ("whole", "cut"))
    assert whole.task.condition is None
    fit(whole, Group())
    fit(cut, Group(), until=1)
    fit(cut, Group())
    assert_same_weights(whole, cut)


@pytest.mark.parametrize(
    ("size", "settings", "said"),
    [
        ((8, 8), {}, r"halved 1 times, to 8 pixels or more, and 8x8 cannot be"),
        ((36, 30), {"levels": 2}, r"system\.levels: .* 36x30 cannot be; set it, or another shard\.cut\.image_size"),
        ((32, 32), {"levels": 3}, r"halved 3 times"),
    ],
)
def test_sizes_that_cannot_be_halved_are_refused(size, settings, said):
    with pytest.raises(Fault, match=said):
        small(size, **settings)


def test_label_maps_are_made_in_colour_alone():
    labels = Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (255, 255, 255)))
    with pytest.raises(Fault, match=r"set train\.labels: colour"):
        lapgan(LAPGANConfig(), Shape(None, labels.at((32, 32))))
    lapgan(LAPGANConfig(width=4), Shape(None, labels.at((32, 32)).model_copy(update={"encoding": "colour"})))
