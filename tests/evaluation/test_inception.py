"""Inception 2015-12-05 layer by layer on random weights, against functions that know nothing of its modules."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from components.evaluation.config import InceptionWeights
from components.evaluation.features import inception
from components.evaluation.inception import Inception, resize_tf1
from components.faults import Fault
from components.storage.files import sha256_file


@pytest.fixture(scope="module")
def network() -> Inception:
    torch.manual_seed(0)
    net = Inception().eval()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("conv.weight"):
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
            elif name.endswith("bn.weight"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif name.endswith(("bn.bias", "running_mean")):
                value.normal_(0, 0.2)
    return net


class Reference:
    """The network in plain functions over the state dict."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = state

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: tuple[int, int] = (0, 0)) -> Tensor:
        get = {key: self.state[f"{name}.{key}"] for key in ("conv.weight", "bn.weight", "bn.bias")}
        x = F.conv2d(x, get["conv.weight"], stride=stride, padding=padding)
        mean, var = self.state[f"{name}.bn.running_mean"], self.state[f"{name}.bn.running_var"]
        columns = [v[:, None, None] for v in (mean, var, get["bn.weight"], get["bn.bias"])]
        return ((x - columns[0]) / (columns[1] + 0.001).sqrt() * columns[2] + columns[3]).clamp_min(0)

    def average(self, x: Tensor) -> Tensor:
        """3 x 3 means over the pixels that exist."""
        ones = torch.ones_like(x[:, :1])
        kernel = torch.ones(1, 1, 3, 3)
        sums = F.conv2d(x.flatten(0, 1)[:, None], kernel, padding=1).view_as(x)
        return sums / F.conv2d(ones, kernel, padding=1)

    def maximum(self, x: Tensor, stride: int, padding: int) -> Tensor:
        x = F.pad(x, (padding,) * 4, value=-torch.inf)
        return x.unfold(2, 3, stride).unfold(3, 3, stride).amax((-1, -2))

    def chain(self, x: Tensor, block: str, *steps: tuple[str, int, tuple[int, int]]) -> Tensor:
        for name, stride, padding in steps:
            x = self.conv(x, f"{block}.{name}", stride, padding)
        return x

    def a(self, x: Tensor, b: str) -> Tensor:
        none, one = (0, 0), (1, 1)
        return torch.cat(
            [
                self.chain(x, b, ("branch1x1", 1, none)),
                self.chain(x, b, ("branch5x5_1", 1, none), ("branch5x5_2", 1, (2, 2))),
                self.chain(x, b, ("branch3x3dbl_1", 1, none), ("branch3x3dbl_2", 1, one), ("branch3x3dbl_3", 1, one)),
                self.chain(self.average(x), b, ("branch_pool", 1, none)),
            ],
            1,
        )

    def halve_a(self, x: Tensor, b: str) -> Tensor:
        none = (0, 0)
        return torch.cat(
            [
                self.chain(x, b, ("branch3x3", 2, none)),
                self.chain(
                    x, b, ("branch3x3dbl_1", 1, none), ("branch3x3dbl_2", 1, (1, 1)), ("branch3x3dbl_3", 2, none)
                ),
                self.maximum(x, 2, 0),
            ],
            1,
        )

    def c(self, x: Tensor, b: str) -> Tensor:
        none, row, column = (0, 0), (0, 3), (3, 0)
        pads = (none, column, row, column, row)
        return torch.cat(
            [
                self.chain(x, b, ("branch1x1", 1, none)),
                self.chain(x, b, *((f"branch7x7_{i + 1}", 1, p) for i, p in enumerate((none, row, column)))),
                self.chain(x, b, *((f"branch7x7dbl_{i + 1}", 1, p) for i, p in enumerate(pads))),
                self.chain(self.average(x), b, ("branch_pool", 1, none)),
            ],
            1,
        )

    def halve_c(self, x: Tensor, b: str) -> Tensor:
        none = (0, 0)
        sevens = (("branch7x7x3_1", 1, none), ("branch7x7x3_2", 1, (0, 3)), ("branch7x7x3_3", 1, (3, 0)))
        return torch.cat(
            [
                self.chain(x, b, ("branch3x3_1", 1, none), ("branch3x3_2", 2, none)),
                self.chain(x, b, *sevens, ("branch7x7x3_4", 2, none)),
                self.maximum(x, 2, 0),
            ],
            1,
        )

    def e(self, x: Tensor, b: str, pooled: Tensor) -> Tensor:
        none, row, column = (0, 0), (0, 1), (1, 0)
        three = self.chain(x, b, ("branch3x3_1", 1, none))
        twice = self.chain(x, b, ("branch3x3dbl_1", 1, none), ("branch3x3dbl_2", 1, (1, 1)))
        return torch.cat(
            [
                self.chain(x, b, ("branch1x1", 1, none)),
                self.chain(three, b, ("branch3x3_2a", 1, row)),
                self.chain(three, b, ("branch3x3_2b", 1, column)),
                self.chain(twice, b, ("branch3x3dbl_3a", 1, row)),
                self.chain(twice, b, ("branch3x3dbl_3b", 1, column)),
                self.chain(pooled, b, ("branch_pool", 1, none)),
            ],
            1,
        )

    def block(self, x: Tensor, name: str) -> Tensor:
        stage, letter = name.removeprefix("Mixed_")
        if stage == "5":
            return self.a(x, name)
        if stage == "6":
            return self.halve_a(x, name) if letter == "a" else self.c(x, name)
        if letter == "a":
            return self.halve_c(x, name)
        return self.e(x, name, self.average(x) if letter == "b" else self.maximum(x, 1, 1))


STEM = {
    "Conv2d_1a_3x3": (2, (0, 0), (32, 149)),
    "Conv2d_2a_3x3": (1, (0, 0), (32, 147)),
    "Conv2d_2b_3x3": (1, (1, 1), (64, 147)),
    "Conv2d_3b_1x1": (1, (0, 0), (80, 73)),
    "Conv2d_4a_3x3": (1, (0, 0), (192, 71)),
}
MIXED = {
    **{f"Mixed_5{x}": shape for x, shape in zip("bcd", ((256, 35), (288, 35), (288, 35)), strict=True)},
    **{f"Mixed_6{x}": (768, 17) for x in "abcde"},
    **{f"Mixed_7{x}": shape for x, shape in zip("abc", ((1280, 8), (2048, 8), (2048, 8)), strict=True)},
}


def test_every_layer_is_the_reference(network: Inception) -> None:
    """Each layer on the very input it has in the network, so that no error hides another."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        module.register_forward_hook(lambda m, i, o, name=name: seen.update({name: (i[0], o)}))
        for name, module in network.named_children()
        if name != "fc"
    ]
    pictures = torch.randint(0, 256, (2, 3, 40, 52), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features, logits = network(pictures)
    for hook in hooks:
        hook.remove()
    reference = Reference(network.state_dict())
    assert list(seen) == [*STEM, *MIXED]
    for name, (x, y) in seen.items():
        channels, side = STEM[name][2] if name in STEM else MIXED[name]
        assert tuple(y.shape) == (2, channels, side, side), name
        expected = reference.conv(x, name, *STEM[name][:2]) if name in STEM else reference.block(x, name)
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4 * float(y.abs().max()), msg=name)
    resized = tf1_loop(pictures[0].permute(1, 2, 0).numpy(), 299)
    first = ((torch.from_numpy(resized) - 128) / 128).permute(2, 0, 1).float()
    torch.testing.assert_close(seen["Conv2d_1a_3x3"][0][0], first, rtol=1e-5, atol=1e-5)
    for before, after in (("Conv2d_2b_3x3", "Conv2d_3b_1x1"), ("Conv2d_4a_3x3", "Mixed_5b")):
        assert torch.equal(reference.maximum(seen[before][1], 2, 0), seen[after][0])
    torch.testing.assert_close(features, seen["Mixed_7c"][1].mean((2, 3)))
    torch.testing.assert_close(logits, features @ network.state_dict()["fc.weight"].T)
    assert (features.shape, logits.shape) == ((2, 2048), (2, 1008))


def tf1_loop(picture: np.ndarray, size: int) -> np.ndarray:
    """TensorFlow 1's ResizeBilinear, align_corners and half_pixel_centers False, pixel by pixel."""
    height, width = picture.shape[:2]
    scale_y, scale_x = np.float32(height / size), np.float32(width / size)
    out = np.zeros((size, size, picture.shape[2]), np.float32)
    x = picture.astype(np.float32)
    for i in range(size):
        in_y = np.float32(i) * scale_y
        top, lerp_y = int(np.floor(in_y)), in_y - np.floor(in_y)
        bottom = min(top + 1, height - 1)
        for j in range(size):
            in_x = np.float32(j) * scale_x
            left, lerp_x = int(np.floor(in_x)), in_x - np.floor(in_x)
            right = min(left + 1, width - 1)
            above = x[top, left] + (x[top, right] - x[top, left]) * lerp_x
            below = x[bottom, left] + (x[bottom, right] - x[bottom, left]) * lerp_x
            out[i, j] = above + (below - above) * lerp_y
    return out


@pytest.mark.parametrize("shape", [(9, 13), (64, 64), (70, 41), (299, 299)])
def test_resize_is_tensorflow_ones(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = resize_tf1(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), 61)[0].permute(1, 2, 0)
    np.testing.assert_allclose(found.numpy(), tf1_loop(picture, 61), atol=2e-3)


def test_parameters_have_the_distributed_names(network: Inception) -> None:
    state = network.state_dict()
    assert len([key for key in state if key.endswith("conv.weight")]) == 94
    assert state["fc.weight"].shape == (1008, 2048)
    assert state["Mixed_6b.branch7x7dbl_5.conv.weight"].shape == (192, 128, 1, 7)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)
    # Keras publishes 23,851,784 for this graph, with 1000 classes and three numbers a normalised channel
    convolutions = sum(value.numel() for key, value in state.items() if key.endswith("conv.weight"))
    channels = sum(value.numel() for key, value in state.items() if key.endswith("bn.bias"))
    assert convolutions + 3 * channels + 2049 * 1000 == 23_851_784


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file(network: Inception, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    loaded = inception(InceptionWeights(path=str(path), sha256=sha256_file(path)))
    pictures = np.random.default_rng(0).integers(0, 256, (1, 24, 24, 3), dtype=np.uint8)
    features, log_p = loaded.extract(pictures)
    with torch.inference_mode():
        expected, logits = network(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(log_p, logits.log_softmax(1), rtol=1e-3, atol=1e-3)
    assert loaded.suffix == ""


def test_faults_of_weights_files(network: Inception, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"

    def load(sha256: str | None = None) -> None:
        inception(InceptionWeights(path=str(path), sha256=sha256 or sha256_file(path)))

    with pytest.raises(Fault, match="no such weights file"):
        load("0" * 64)
    state = network.state_dict()
    torch.save({"AuxLogits.conv0.conv.weight": torch.zeros(1), **state, "fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(Fault, match=r"sha256 is .*, expected 0000"):
        load("0" * 64)
    with pytest.raises(Fault) as fault:
        load()
    line = str(fault.value)
    assert "not the weights of Inception 2015-12-05" in line
    assert "1 unexpected (AuxLogits.conv0.conv.weight)" in line
    assert "1 of another shape (fc.weight)" in line
    torch.save({"conv.weight": torch.zeros(1)}, path)
    with pytest.raises(Fault, match=r"472 missing \(.*, …\); 1 unexpected \(conv.weight\)") as fault:
        load()
    assert "\n" not in str(fault.value)
    torch.save([1, 2], path)
    with pytest.raises(Fault, match="holds no state dict"):
        load()
    for content in (b"not weights", b""):
        path.write_bytes(content)
        with pytest.raises(Fault, match="not a weights file"):
            load()
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"\x00" * 40)
    with pytest.raises(Fault, match="not a weights file"):
        load()
