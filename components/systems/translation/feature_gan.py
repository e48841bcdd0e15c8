"""Feature loss + GAN: SimGAN with the distance taken in the features of a frozen network, a baseline of CycleGAN
(Zhu et al. 2017, arXiv:1703.10593, section 5.1)."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor

from components.faults import Fault
from components.networks.lite0 import lite0_features
from components.systems.system import Shape, System
from components.systems.translation.simgan import RefinerSection, refiner


class FeatureGANConfig(RefinerSection):
    """The paper's features are VGG-16's relu4_2; these are EfficientNet-Lite0's at the same stride of 8.

    Attributes:
        lambda_features: weight of the mean |f(G(source)) - f(source)|. The paper does not say its own; these
            features differ by about 7 between two Earth photos.
    """

    name: Literal["feature_gan"] = "feature_gan"
    lambda_features: NonNegativeFloat = 1.0


def feature_gan(config: FeatureGANConfig, shape: Shape) -> System:
    """A refiner that stays near its source in ImageNet features.

    The frozen network is neither in `networks` nor in checkpoints: its weights come with a package, and their
    sha256 stands in components/networks/lite0.py.

    Raises:
        Fault: a domain that is not seen in colour.
    """
    if not (shape.source.in_colour and shape.target.in_colour):
        raise Fault("system feature_gan takes features of pictures in colour; set train.labels to colour")

    def distance(fake: Tensor, source: Tensor) -> Tensor:
        features = lite0_features(fake.device)
        with torch.no_grad():
            wanted = features(source)
        return F.l1_loss(features(fake), wanted)

    return refiner(config, shape, "features", config.lambda_features, distance)
