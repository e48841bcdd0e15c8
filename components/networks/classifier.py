"""A small convolutional classifier of pictures."""

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Stride-2 convolutions with BatchNorm down to at most 4 pixels a side, the mean over places, and one linear layer.

    Takes (N, channels, H, W), or more channels of which it looks at the first ones, and gives logits (N, classes).

    Args:
        levels: how often the sides are halved. width: channels of the first level; they double up to 8 times as many.
    """

    def __init__(self, channels: int, classes: int, width: int, levels: int, dropout: float) -> None:
        super().__init__()
        self._channels = channels
        layers: list[nn.Module] = []
        for level in range(levels):
            out = width * 2 ** min(level, 3)
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            layers += [nn.Conv2d(out, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, classes))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of pictures."""
        logits: Tensor = self.head(torch.mean(self.features(pictures[:, : self._channels]), dim=(2, 3)))
        return logits
