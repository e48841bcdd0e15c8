"""FCN-8s: a fully convolutional network for semantic segmentation (Long et al. 2015, arXiv:1411.4038)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # (width factor, convolutions) of VGG-16


class FCN8s(nn.Module):
    """VGG-16 made convolutional, with skips at 1/8 and 1/16 and learned upsampling.

    `width` 64 is the published network (134 M parameters); smaller widths scale every layer. Trained
    from scratch here, so each convolution is followed by BatchNorm; padding 1 instead of the original's
    100. A picture whose sides are no multiples of 32 is padded with its border, and the logits are cropped again.
    (N, 3, H, W) to logits (N, classes, H, W).
    """

    def __init__(self, classes: int, width: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        stages, inside = [], 3
        for factor, convolutions in _STAGES:
            layers: list[nn.Module] = []
            for _ in range(convolutions):
                layers += _conv(inside, width * factor, 3)
                inside = width * factor
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        self.stages = nn.ModuleList(stages)
        hidden = 64 * width
        drop = nn.Dropout2d(dropout)
        self.head = nn.Sequential(
            *_conv(inside, hidden, 7), drop, *_conv(hidden, hidden, 1), drop, nn.Conv2d(hidden, classes, 1)
        )
        self.score_16 = nn.Conv2d(8 * width, classes, 1)
        self.score_8 = nn.Conv2d(4 * width, classes, 1)
        self.up_32 = _bilinear(classes, 2)
        self.up_16 = _bilinear(classes, 2)
        self.up_8 = _bilinear(classes, 8)
        for skip in (self.score_16, self.score_8):  # a skip starts silent, as in the paper
            for parameter in skip.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Class logits of every pixel."""
        height, width = x.shape[-2:]
        top, left = (-height % 32) // 2, (-width % 32) // 2
        if height % 32 or width % 32:
            x = F.pad(x, (left, -width % 32 - left, top, -height % 32 - top), mode="replicate")
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        x = self.up_32(self.head(x)) + self.score_16(features[3])
        x = self.up_16(x) + self.score_8(features[2])
        logits: Tensor = self.up_8(x)
        return logits[..., top : top + height, left : left + width]


def _conv(inside: int, outside: int, kernel: int) -> list[nn.Module]:
    layer = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return [layer, nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]


def _bilinear(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Upsampling by `factor`, learned from a bilinear start."""
    kernel = 2 * factor
    layer = nn.ConvTranspose2d(channels, channels, kernel, factor, factor // 2, bias=False)
    ramp = 1 - (torch.arange(kernel) - (kernel - 1) / 2).abs() / factor
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(channels), range(channels)] = ramp[:, None] * ramp
    return layer
