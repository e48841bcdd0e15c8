"""The convolutions of VGG-16 and VGG-19 (Simonyan and Zisserman 2015, arXiv:1409.1556), each layer by its name."""

from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

Depth = Literal[16, 19]
Pooling = Literal["max", "average"]
CONVOLUTIONS: dict[Depth, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (3, 64, 128, 256, 512, 512)


def vgg_layers(depth: Depth) -> tuple[str, ...]:
    """The names of the layers in their order: conv1_1, relu1_1, ..., relu5_3 or relu5_4."""
    return tuple(
        f"{kind}{block}_{number}"
        for block, count in enumerate(CONVOLUTIONS[depth], start=1)
        for number in range(1, count + 1)
        for kind in ("conv", "relu")
    )


class VGG(nn.Module):
    """The trunk without the classifier, its tensors by torchvision's names (`features.0.weight`, ...)."""

    def __init__(self, depth: Depth, pooling: Pooling = "max") -> None:
        super().__init__()
        self._pool = F.max_pool2d if pooling == "max" else F.avg_pool2d
        modules: list[nn.Module] = []
        self._places: list[tuple[str, int]] = []  # block_number, and where its convolution is; "" is a pooling
        for block, (count, widths) in enumerate(zip(CONVOLUTIONS[depth], pairwise(_WIDTHS), strict=True), start=1):
            if block > 1:
                self._places.append(("", len(modules)))
                modules.append(nn.Identity())
            for number in range(1, count + 1):
                self._places.append((f"{block}_{number}", len(modules)))
                modules += [nn.Conv2d(widths[0] if number == 1 else widths[1], widths[1], 3, padding=1), nn.Identity()]
        self.features = nn.ModuleList(modules)

    def forward(self, x: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """The named layers of (N, 3, H, W), halved after each block; none behind the last of them is computed."""
        found: dict[str, Tensor] = {}
        for place, index in self._places:
            if len(found) == len(layers):
                break
            if not place:
                x = self._pool(x, 2)
                continue
            x = self.features[index](x)
            if f"conv{place}" in layers:
                found[f"conv{place}"] = x
            x = F.relu(x)
            if f"relu{place}" in layers:
                found[f"relu{place}"] = x
        return found
