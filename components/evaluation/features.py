"""Feature networks: pictures in, features for FID and KID and class probabilities for the Inception Score out."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.evaluation.config import EvaluateConfig, InceptionWeights
from components.evaluation.inception import FEATURES, SIZE, Inception
from components.evaluation.protocol import NetworkProtocol
from components.faults import Fault
from components.networks.frozen import load_into, read_state_dict
from components.networks.lite0 import LITE0_SHA256, Lite0Whole
from components.networks.tensors import compute_device, full_float32

_LITE0_SIZE, _LITE0_FEATURES = 224, 1280


class FeatureNetwork:
    """A frozen network with its protocol.

    Attributes:
        suffix: what the names of its figures end in; empty for the published protocol.
        protocol: weights, resize and normalisation.
    """

    def __init__(self, suffix: str, protocol: NetworkProtocol, network: nn.Module) -> None:
        self.suffix, self.protocol = suffix, protocol
        self._device = compute_device()
        # channels_last doubles the speed of depthwise convolutions on a CPU
        self._network = network.eval().to(self._device)
        for weight in self._network.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def extract(self, pictures: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """uint8 RGB (N, H, W, 3) -> features (N, dimensions) float32, log p(class) (N, classes) float32.

        Raises:
            Fault: pictures of another type or shape, among them floats, which may be NaN or of another range.
        """
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
            raise Fault(f"pictures are {pictures.dtype} {pictures.shape}; features are taken of uint8 (N, H, W, 3)")
        batch = torch.tensor(pictures).to(self._device).permute(0, 3, 1, 2)
        with full_float32():
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
    protocol = NetworkProtocol(
        sha256=LITE0_SHA256,
        resize=f"bilinear antialiased {_LITE0_SIZE}x{_LITE0_SIZE}",
        normalisation="(x-127)/128",
        dimensions=_LITE0_FEATURES,
    )
    return FeatureNetwork("efficientnet_lite0", protocol, Lite0Whole(_LITE0_SIZE))


def inception(weights: InceptionWeights) -> FeatureNetwork:
    """Inception 2015-12-05 from a file: its figures carry the published names, `fid`, `kid`, `inception_score`."""
    path = Path(weights.path).expanduser()
    state, network = read_state_dict(path, weights.sha256), Inception()
    load_into(network, state, path, "Inception 2015-12-05")
    protocol = NetworkProtocol(
        sha256=weights.sha256,
        resize=f"TF1 bilinear {SIZE}x{SIZE}",
        normalisation="(x-128)/128",
        dimensions=FEATURES,
    )
    return FeatureNetwork("", protocol, network)
