"""Feature networks for losses, as params: what pictures are compared in where their pixels say too little."""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from components.faults import Fault
from components.networks.frozen import load_into, read_state_dict
from components.networks.lite0 import BLOCKS, Lite0Layers
from components.networks.vgg import VGG, Depth, Pooling, vgg_layers
from components.networks.vgg_edges import VGG_EDGES_SHA256, read_vgg_edges
from components.samples.schema import NodePath, Section

FEATURES = "PIX2PIPE_FEATURES"
_FOLDER = "~/.cache/pix2pipe/features"
# (mean, deviation) of red, green and blue, of values from 0 to 1, that the weights were trained with.
_CAFFE = ((122.67892 / 255, 116.66877 / 255, 104.00699 / 255), (1 / 255,) * 3)
_TORCHVISION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Lite0Config(Section):
    """EfficientNet-Lite0 (ImageNet), which is installed with the project; layers stem, block1 to block16."""

    name: Literal["efficientnet_lite0"] = "efficientnet_lite0"


class VGGEdgesConfig(Section):
    """VGG-16 out of an edge detector (components/networks/vgg_edges.py), 55 MB that are downloaded once a node.

    Begun from ImageNet's weights and trained on for edges (BSDS500), so it is near VGG-16 of ImageNet but not it.

    Attributes:
        pooling: max, as it was trained, or average (Gatys et al. 2016).
    """

    name: Literal["vgg16_edges"] = "vgg16_edges"
    pooling: Pooling = "max"


class VGGConfig(Section):
    """VGG-16 or VGG-19 with ImageNet's weights, of a file on every node.

    Attributes:
        path: torchvision's state dict, `features.0.weight` and so on: .safetensors, or .pth (read without pickle code).
        sha256: of its bytes.
        pooling: as of VGGEdgesConfig.
    """

    name: Literal["vgg16", "vgg19"]
    path: NodePath
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    pooling: Pooling = "max"


FeaturesConfig = Annotated[Lite0Config | VGGEdgesConfig | VGGConfig, Field(discriminator="name")]
AnyFeaturesConfig = Lite0Config | VGGEdgesConfig | VGGConfig


class Perceptual:
    """Layers of a frozen network: `network(pictures)[layer]`.

    It is no module, and so in no checkpoint and no exported model; its weights are opened when features are first
    taken, once a process and device, so a system is built without them. Nothing learns in it; gradients go
    through it to the pictures.

    Attributes:
        layers: the names of those it gives.
    """

    def __init__(self, config: AnyFeaturesConfig, layers: tuple[str, ...]) -> None:
        known = layers_of(config)
        for layer in layers:
            if layer not in known:
                raise Fault(f"system.features: {config.name} has no layer {layer}; it has {', '.join(known)}")
        self._config, self.layers = config, tuple(name for name in known if name in layers)

    def __call__(self, pictures: Tensor) -> dict[str, Tensor]:
        """The features of pictures (N, 3, H, W) in [-1, 1], at their own size, by layer: (N, C, H / s, W / s).

        Raises:
            Fault: the weights cannot be had, or are not those expected.
        """
        found: dict[str, Tensor] = _opened(self._config, pictures.device)(pictures, self.layers)
        return found


def perceptual(config: AnyFeaturesConfig, layers: tuple[str, ...] | None = None) -> Perceptual:
    """The layers of a feature network; by default all, and the fewer, the cheaper.

    Raises:
        Fault: a layer that the network does not have; names those that it has.
    """
    return Perceptual(config, layers_of(config) if layers is None else layers)


def layers_of(config: AnyFeaturesConfig) -> tuple[str, ...]:
    """The names of the layers of a network, from the pictures on."""
    if isinstance(config, Lite0Config):
        return BLOCKS
    return vgg_layers(_depth(config))


class _Normalised(nn.Module):
    """A VGG that is given pictures in [-1, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: VGG, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1))

    def forward(self, pictures: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """As `VGG.forward`."""
        found: dict[str, Tensor] = self.network(((pictures + 1) / 2 - self.mean) / self.std, layers)
        return found


@cache
def _opened(config: AnyFeaturesConfig, device: torch.device) -> nn.Module:
    """The one copy of this process on a device."""
    network = Lite0Layers() if isinstance(config, Lite0Config) else _vgg(config)
    network = network.eval().requires_grad_(False).to(device)
    for weight in network.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network


def _vgg(config: VGGEdgesConfig | VGGConfig) -> nn.Module:
    network = VGG(_depth(config), config.pooling)
    if isinstance(config, VGGEdgesConfig):
        # Here, and not above: a registered version imports this file, and never opens the network.
        from components.sources.vgg_edges import fetch_vgg_edges

        path = Path(os.environ.get(FEATURES) or _FOLDER).expanduser() / f"vgg16_edges-{VGG_EDGES_SHA256[:16]}.h5"
        fetch_vgg_edges(path)
        state = read_vgg_edges(path)
    else:
        path = Path(config.path).expanduser()
        whole = read_state_dict(path, config.sha256)
        state = {name: value for name, value in whole.items() if not name.startswith("classifier.")}
    load_into(network, state, path, config.name)
    return _Normalised(network, *(_CAFFE if isinstance(config, VGGEdgesConfig) else _TORCHVISION))


def _depth(config: VGGEdgesConfig | VGGConfig) -> Depth:
    return 19 if config.name == "vgg19" else 16
