"""Parameter counts against the published figures, and against the layers summed by hand."""

import pytest
import torch
from torch import nn

from components.networks.coupled import CoupledDiscriminator, CoupledGenerator
from components.networks.lite0 import Lite0Features
from components.networks.patchgan import PatchGAN
from components.networks.resnet import ResNet
from components.networks.unet import UNet
from components.samples.domain import Domain
from components.systems import build
from components.systems.system import Shape
from components.systems.translation.cogan import CoGANConfig
from components.systems.translation.cyclegan import CycleGANConfig


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def conv(inside: int, outside: int, kernel: int, bias: bool = True) -> int:
    return inside * outside * kernel**2 + bias * outside


def resnet(blocks: int, width: int = 64) -> int:
    """Convolutions with bias, norms without parameters."""
    ends = conv(3, width, 7) + conv(width, 3, 7)
    down_and_up = sum(conv(w, 2 * w, 3) + conv(2 * w, w, 3) for w in (width, 2 * width))
    return ends + down_and_up + blocks * 2 * conv(4 * width, 4 * width, 3)


@pytest.mark.parametrize(("blocks", "millions"), [(9, 11.378), (6, 7.838)])
def test_resnet(blocks, millions):
    network = ResNet(3, 3, blocks)
    assert count(network) == resnet(blocks)
    assert round(count(network) / 1e6, 3) == millions
    assert count(ResNet(3, 3, blocks, upsample="nearest")) == resnet(blocks)


def test_resnet_keeps_the_size_and_sees_all_its_weights():
    network = ResNet(3, 5, blocks=1, width=4)
    out = network(torch.rand(2, 3, 32, 48))
    assert out.shape == (2, 5, 32, 48)
    out.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_published_networks_in_millions():
    assert round(count(UNet(3, 3)) / 1e6, 3) == 54.414
    assert round(count(PatchGAN(6)) / 1e6, 3) == 2.769
    assert round(count(PatchGAN(3, norm_name="instance")) / 1e6, 3) == 2.765


def test_coupled_networks_count_what_is_shared_once():
    generator = CoupledGenerator(100, (3, 9), (64, 64), levels=4, untied=2, norm_name="instance")
    shared = conv(100, 512, 4) + conv(512, 256, 4) + conv(256, 128, 4)
    own = [conv(128, 64, 4) + conv(64, outside, 4) for outside in (3, 9)]
    assert count(generator) == shared + sum(own)
    discriminator = CoupledDiscriminator((3, 9), (64, 64), levels=4, untied=2, norm_name="instance")
    own = [conv(inside, 64, 4) + conv(64, 128, 4) for inside in (3, 9)]
    assert count(discriminator) == sum(own) + conv(128, 256, 4) + conv(256, 512, 4) + conv(512, 1, 4)


@pytest.mark.parametrize("size", [(16, 16), (32, 64), (64, 64), (256, 256)])
@pytest.mark.parametrize("untied", [1, 2])
def test_coupled_networks_fit_their_pictures(size, untied):
    config = CoGANConfig(width=2, latent=4, untied=untied, norm="instance")
    networks = build(config, Shape(Domain(kind="image").at(size), Domain(kind="image").at(size))).networks
    for domain in (0, 1):
        pictures = networks["generator"](torch.rand(2, 4), domain)
        assert pictures.shape == (2, 3, *size)
        assert networks["discriminator"](pictures, domain).shape == (2, 1, 1, 1)


def test_the_papers_cyclegan():
    shape = Shape(Domain(kind="image").at((256, 256)), Domain(kind="image").at((256, 256)))
    sizes = build(CycleGANConfig(), shape).num_parameters()
    assert sizes == {
        "generator": resnet(9),
        "generator_back": resnet(9),
        "discriminator": 2_764_737,
        "discriminator_back": 2_764_737,
    }


def test_lite0_features_are_frozen_and_let_gradients_through():
    features = Lite0Features()
    pictures = (torch.rand(2, 3, 64, 48) * 2 - 1).requires_grad_()
    out = features(pictures)
    assert out.shape == (2, 40, 8, 6)
    out.square().mean().backward()
    assert pictures.grad.abs().max() > 0
    assert not any(p.requires_grad for p in features.parameters())
    assert not features.training
