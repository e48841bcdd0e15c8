"""The networks of generators and discriminators from noise: published numbers of parameters, sizes, spectral norms."""

import pytest
import torch
from torch import nn

from components.networks.fully_connected import FullyConnectedDiscriminator, FullyConnectedGenerator
from components.networks.layers import spectrally_normalised
from components.networks.lsgan import LSGANDiscriminator, LSGANGenerator
from components.networks.r3gan import R3GANDiscriminator, R3GANGenerator, Resample
from components.networks.sn_cnn import SNDiscriminator, SNGenerator
from components.networks.wgan_gp import ResidualCritic, ResidualGenerator

COUNTS = {
    "gan, digits": (
        lambda: FullyConnectedGenerator(100, 1, (28, 28), (1200, 1200)),
        lambda: FullyConnectedDiscriminator(1, (28, 28), (240, 240), 5, 0.2, 0.5),
        (2_503_984, 1_231_441),
    ),
    "dragan, digits": (
        lambda: FullyConnectedGenerator(100, 1, (28, 28), (128,)),
        lambda: FullyConnectedDiscriminator(1, (28, 28), (128,), 1, 0, 0),
        (114_064, 100_609),
    ),
    "lsgan, 128 pixels": (
        lambda: LSGANGenerator(1024, 3, (128, 128), 64, "batch"),
        lambda: LSGANDiscriminator(3, (128, 128), 64, "batch"),
        (19_526_211, 4_340_225),
    ),
    "sn_gan, ResNet": (
        lambda: ResidualGenerator(128, 3, (32, 32), 256),
        lambda: ResidualCritic(3, 128, pooled="sum"),
        (4_276_739, 1_053_824),
    ),
    "sn_gan, CNN": (
        lambda: SNGenerator(128, 3, (32, 32), 64),
        lambda: SNDiscriminator(3, (32, 32), 64),
        (3_813_379, 5_860_865),
    ),
    "r3gan, 32 pixels": (
        lambda: R3GANGenerator(64, 3, (32, 32), 768, 2),
        lambda: R3GANDiscriminator(3, (32, 32), 768, 2),
        (20_732_160, 20_683_776),
    ),
    "r3gan, 256 pixels": (  # 23.06 M and 23.01 M
        lambda: R3GANGenerator(64, 3, (256, 256), 768, 2),
        lambda: R3GANDiscriminator(3, (256, 256), 768, 2),
        (23_057_952, 23_009_568),
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_networks_have_the_published_counts(name):
    *networks, counts = COUNTS[name]
    with torch.device("meta"):
        assert tuple(sum(p.numel() for p in make().parameters()) for make in networks) == counts


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 64), (32, 64), (40, 56)])
def test_pictures_have_the_size_that_is_asked(size):
    pairs = [
        (FullyConnectedGenerator(5, 3, size, (6,)), FullyConnectedDiscriminator(3, size, (6,), 2, 0.2, 0.5)),
        (LSGANGenerator(5, 3, size, 4, "batch"), LSGANDiscriminator(3, size, 4, "batch")),
        (SNGenerator(5, 3, size, 4), SNDiscriminator(3, size, 4)),
        (R3GANGenerator(5, 3, size, 16, 1), R3GANDiscriminator(3, size, 16, 1)),
    ]
    for generator, discriminator in pairs:
        pictures = generator(torch.randn(2, 5))
        assert pictures.shape == (2, 3, *size)
        assert discriminator(pictures).shape == (2, 1)


def test_a_spectral_norm_is_the_greatest_singular_value():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 4), nn.Flatten(), nn.Linear(8 * 25, 5))
    before = [network[i].weight.detach().clone() for i in (0, 2)]
    spectrally_normalised(network)
    pictures = torch.rand(2, 3, 8, 8)
    for _ in range(200):  # each forward in train mode is one power iteration
        network(pictures)
    for layer, weight in zip((network[0], network[2]), before, strict=True):
        sigma = torch.linalg.svdvals(weight.flatten(1))[0]
        assert torch.allclose(layer.weight, weight / sigma, rtol=1e-4, atol=1e-6)
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0].item() == pytest.approx(1, abs=1e-4)


def test_one_forward_is_one_power_iteration_in_train_mode_alone():
    torch.manual_seed(0)
    layer = nn.Linear(6, 4, bias=False)
    weight = layer.weight.detach().clone()
    spectrally_normalised(layer)
    iterates = dict(layer.named_buffers())
    u, v = (buffer.clone() for buffer in iterates.values())
    layer.eval()
    layer(torch.rand(1, 6))
    assert all(torch.equal(a, b) for a, b in zip(iterates.values(), (u, v), strict=True))
    layer.train()
    layer(torch.rand(1, 6))
    next_u = nn.functional.normalize(weight @ v, dim=0)
    next_v = nn.functional.normalize(weight.T @ next_u, dim=0)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(iterates.values(), (next_u, next_v), strict=True))


def test_maps_are_resampled_smoothly_and_keep_their_level():
    up, down = Resample(up=True), Resample(up=False)
    flat = torch.full((2, 3, 8, 8), 0.7)
    assert torch.allclose(up(flat)[:, :, 2:-2, 2:-2], torch.tensor(0.7))
    assert torch.allclose(down(flat)[:, :, 1:-1, 1:-1], torch.tensor(0.7))
    one = torch.zeros(1, 1, 4, 4)
    one[0, 0, 1, 1] = 1
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    assert torch.allclose(up(one)[0, 0, 1:5, 1:5], torch.outer(line, line))


def test_a_residual_network_starts_as_resampling_alone():
    torch.manual_seed(0)
    generator = R3GANGenerator(5, 3, (8, 8), 16, 1)
    latent = torch.randn(2, 5)
    made, block = generator(latent), generator.layers[0]
    assert torch.equal(block(torch.ones(1, 16, 4, 4)), torch.ones(1, 16, 4, 4))
    assert torch.allclose(generator(-latent), -made, atol=1e-5)  # nothing but linear layers as yet
    nn.init.ones_(block.third.weight)
    assert not torch.allclose(generator(-latent), -generator(latent), atol=1e-3)
