"""One network for many styles (Dumoulin et al. 2017, arXiv:1610.07629): a style scales and shifts features."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConditionalInstanceNorm(nn.Module):
    """Instance norm whose scale and shift are given with each picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(width)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Of features (N, C, H, W), with a scale and a shift (N, C)."""
        return self.norm(x) * scale[:, :, None, None] + shift[:, :, None, None]


class StyledNet(nn.Module):
    """Convolutions that all styles share, and a vector of scales and shifts for each style, `style_NAME`.

    Each convolution has reflected borders, no bias, and a conditional norm behind it. Of several styles the vectors
    are mixed.

    Args:
        styles: their names. widths: of the way down, its first at the pictures' size, halved at each of the others.
        up: of the way up, doubled at each. blocks: residual ones between.
    """

    def __init__(self, styles: Sequence[str], widths: Sequence[int], up: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.styles = tuple(styles)
        self._down, self._blocks, self._up = len(widths), blocks, len(up)
        wide = widths[-1]
        places = [*pairwise((3, *widths)), *[(wide, wide)] * (2 * blocks), *pairwise((wide, *up, 3))]
        last = len(places) - 1
        convolutions = [
            nn.Conv2d(a, b, 9 if i in (0, last) else 3, stride=2 if 0 < i < len(widths) else 1, bias=False)
            for i, (a, b) in enumerate(places)
        ]
        for convolution in convolutions:
            nn.init.normal_(convolution.weight, 0, 0.01)
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(ConditionalInstanceNorm(b) for _, b in places)
        self._sizes = [b for _, b in places for _ in range(2)]
        for name in self.styles:
            one = torch.cat([torch.cat([torch.ones(b), torch.zeros(b)]) for _, b in places])
            self.register_parameter(f"style_{name}", nn.Parameter(one))

    def vectors(self) -> dict[str, nn.Parameter]:
        """The vector of each style: for each convolution its scales, then its shifts."""
        return {name: self.get_parameter(f"style_{name}") for name in self.styles}

    def forward(self, pictures: Tensor, weights: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] in the styles of `weights`, (N, styles) or (1, styles): in [-1, 1]."""
        vectors = weights @ torch.stack(list(self.vectors().values()))
        parts = iter(vectors.split(self._sizes, dim=1))
        layers = zip(self.convolutions, self.norms, strict=True)

        def layer(x: Tensor) -> Tensor:
            convolution, norm = next(layers)
            assert isinstance(convolution, nn.Conv2d)
            side = convolution.kernel_size[0] // 2
            padded = F.pad(x, (side, side, side, side), mode="reflect")
            shown: Tensor = norm(convolution(padded), next(parts), next(parts))
            return shown

        x = pictures
        for _ in range(self._down):
            x = F.relu(layer(x))
        for _ in range(self._blocks):
            x = x + layer(F.relu(layer(x)))
        for _ in range(self._up):
            x = F.relu(layer(F.interpolate(x, scale_factor=2, mode="nearest")))
        return torch.sigmoid(layer(x)) * 2 - 1
