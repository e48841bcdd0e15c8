"""Networks that make pictures from noise have the published numbers of parameters; penalties have closed forms."""

import pytest
import torch
from torch import nn

from components.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from components.networks.maxout import MaxoutDiscriminator, MLPGenerator
from components.networks.noise import latents
from components.networks.wgan_gp import ResidualCritic, ResidualGenerator
from components.objectives.penalties import (
    DRAGANConfig,
    DriftConfig,
    GradientPenaltyConfig,
    R1Config,
    R1R2Config,
    penalty,
)
from components.samples.domain import Domain
from components.systems.generation.cgan import CGANConfig, cgan
from components.systems.generation.dcgan import DCGANConfig, dcgan
from components.systems.generation.from_noise import between
from components.systems.generation.wgan_gp import WGANGPConfig, wgan_gp
from components.systems.system import Shape

PHOTO, CLASSES = Domain(kind="image"), Domain(kind="category", classes=tuple("abc"))


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_dcgan_has_the_published_counts():
    small = (3, (64, 64), 64, 4, "batch", 0)
    assert count(DCGANGenerator(100, *small)) == 3_576_704
    assert count(DCGANDiscriminator(*small)) == 2_765_568
    paper = (3, (64, 64), 128, 5, "batch", 0)
    assert count(DCGANGenerator(100, *paper)) == 18_855_040  # 18.86 M
    assert count(DCGANDiscriminator(*paper)) == 17_232_768


def test_the_first_cgan_has_the_published_counts():
    assert count(MLPGenerator(100, 1, (28, 28), 10, 0.5)) == 2_413_984
    assert count(MaxoutDiscriminator(1, (28, 28), 10, 0.5)) == 1_224_351


def test_wgan_gp_has_the_published_counts():
    assert count(ResidualGenerator(128, 3, (32, 32), 128)) == 1_204_483
    assert count(ResidualCritic(3, 128)) == 1_053_825


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 64), (32, 64), (40, 56)])
@pytest.mark.parametrize("kernel", [4, 5])
def test_pictures_have_the_size_that_is_asked(size, kernel):
    pictures = DCGANGenerator(5, 3, size, 4, kernel, "batch", 2)(torch.rand(2, 5), torch.eye(2))
    assert pictures.shape == (2, 3, *size)
    assert DCGANDiscriminator(3, size, 4, kernel, "batch", 2)(pictures, torch.eye(2)).shape == (2, 1)
    assert ResidualGenerator(5, 3, size, 4)(torch.rand(2, 5)).shape == (2, 3, *size)


def test_a_condition_decides_what_is_made_and_what_is_seen():
    torch.manual_seed(0)
    generator, seen = DCGANGenerator(5, 3, (32, 32), 4, 4, "none", 3), DCGANDiscriminator(3, (32, 32), 4, 4, "none", 3)
    latent = torch.rand(1, 5)
    made = [generator(latent, torch.eye(3)[i : i + 1]) for i in range(3)]
    assert not torch.allclose(made[0], made[1])
    assert not torch.allclose(*(seen(made[0], torch.eye(3)[i : i + 1]) for i in (0, 1)))


class Linear(nn.Module):
    """A critic whose gradient is the same everywhere."""

    def __init__(self, length: float) -> None:
        super().__init__()
        weight = torch.randn(3 * 4 * 4, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(weight * length / weight.norm())

    def forward(self, pictures):
        return pictures.flatten(1) @ self.weight


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GradientPenaltyConfig(weight=10), 10 * (3 - 1) ** 2),
        (GradientPenaltyConfig(weight=2, norm=3.0), 0),
        (DRAGANConfig(weight=5), 5 * (3 - 1) ** 2),
        (R1Config(weight=4), 2 * 3**2),
        (R1R2Config(weight=4), 2 * 3**2 + 2 * 3**2),
    ],
)
def test_penalties_of_a_linear_critic_are_their_closed_forms(config, expected):
    critic, (real, fake) = Linear(3.0), torch.rand(2, 5, 3, 4, 4)
    value = penalty(config, critic, real, fake, torch.arange(5))
    assert value.item() == pytest.approx(expected, abs=1e-4)
    value.backward()  # and it teaches the critic: its gradient is along its own weight
    if expected:
        along = (critic.weight.grad @ critic.weight.detach()) / 3
        assert along.item() == pytest.approx(
            2 * expected / (3 - 1 if config.name not in ("r1", "r1_r2") else 3), rel=1e-3
        )


def test_drift_is_the_mean_square_of_the_values():
    critic, real = Linear(1.0), torch.rand(5, 3, 4, 4)
    expected = 0.5 * critic(real).square().mean().item()
    assert penalty(DriftConfig(weight=0.5), critic, real, real, torch.arange(5)).item() == pytest.approx(expected)


def test_a_gradient_penalty_is_taken_between_real_and_fake_pictures():
    """With a quadratic critic, |x|², the gradient's length is 2 |x|: it says where it was taken."""
    real, fake = torch.full((64, 1, 1, 1), 1.0), torch.full((64, 1, 1, 1), 3.0)
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).square().sum(1)

    penalty(GradientPenaltyConfig(), critic, real, fake, torch.arange(64))
    (places,) = seen
    assert 1 <= places.min() < 1.2 < 2.8 < places.max() <= 3  # one place of its own for each sample
    assert len(places.unique()) > 32


def test_latents_belong_to_seeds_and_to_phases():
    seeds, cpu = torch.tensor([3, 9, 3]), torch.device("cpu")
    for kind in ("normal", "uniform"):
        one = latents(seeds, 200, cpu, kind)
        assert torch.equal(one[0], one[2])
        assert not torch.equal(one[0], one[1])
        assert torch.equal(latents(seeds[1:], 200, cpu, kind), one[1:])
        assert not torch.equal(latents(seeds, 200, cpu, kind, draw=1), one)
    assert latents(torch.arange(500), 20, cpu, "uniform").abs().max() <= 1
    assert latents(torch.arange(500), 20, cpu).std().item() == pytest.approx(1, abs=0.05)


def test_between_latents_lengths_are_kept():
    first, second = (
        latents(torch.arange(8), 100, torch.device("cpu")),
        latents(torch.arange(8) + 50, 100, torch.device("cpu")),
    )
    assert torch.allclose(between(first, second, torch.zeros(8)), first, atol=1e-4)
    assert torch.allclose(between(first, second, torch.ones(8)), second, atol=1e-4)
    middle = between(first, second, torch.full((8,), 0.5)).norm(dim=1)
    assert torch.allclose(middle, 0.5 * (first.norm(dim=1) + second.norm(dim=1)), rtol=0.01)


def test_the_generator_of_wgan_gp_learns_at_every_fifth_step_alone():
    from components.systems.system import Moment

    system = wgan_gp(WGANGPConfig(width=4), Shape(None, PHOTO.at((32, 32))))
    due = [[phase.name for phase in system.phases if phase.takes_place(Moment(step, 10, 0))] for step in range(6)]
    assert due == [["generator", "discriminator"], *([["discriminator"]] * 4), ["generator", "discriminator"]]


@pytest.mark.parametrize(
    ("build", "config", "size"), [(dcgan, DCGANConfig(width=4), (36, 32)), (wgan_gp, WGANGPConfig(width=4), (4, 4))]
)
def test_sizes_that_cannot_be_halved_are_refused(build, config, size):
    from components.faults import Fault

    with pytest.raises(Fault, match=r"must be multiples of .*set another shard\.cut\.image_size"):
        build(config, Shape(None, PHOTO.at(size)))


def test_a_condition_that_the_task_lacks_is_refused():
    from components.faults import Fault

    with pytest.raises(Fault, match="needs a condition, and the task has none"):
        cgan(CGANConfig(), Shape(None, PHOTO.at((32, 32))))
    cgan(CGANConfig(), Shape(None, PHOTO.at((32, 32)), asked=CLASSES))
