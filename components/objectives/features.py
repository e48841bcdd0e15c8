"""Losses in the features of a frozen network: of content (Gatys et al. 2016; Johnson et al. 2016, arXiv:1603.08155)
and of style."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Features = Mapping[str, Tensor]


def content_loss(made: Features, wanted: Features, layer: str) -> Tensor:
    """The mean squared difference of the features at a layer."""
    return F.mse_loss(made[layer], wanted[layer])


def gram(features: Tensor) -> Tensor:
    """The Gram matrices of features (N, C, H, W), over H W: (N, C, C), float32.

    A mean over places of the products of channels, so that it does not depend on the pictures' size.
    """
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_loss(made: Features, wanted: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The mean squared difference of Gram matrices, summed over layers by weight; of each picture, (N,).

    Args:
        made: features by layer. wanted: Gram matrices by layer, (N, C, C) or, one for all pictures, (1, C, C).
        weights: of the layers that count.
    """
    terms = [weight * (gram(made[layer]) - wanted[layer]).square().mean((1, 2)) for layer, weight in weights.items()]
    return torch.stack(terms).sum(0)
