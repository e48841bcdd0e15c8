"""BEGAN's generator and autoencoder, with ELU and without any normalisation (Berthelot et al. 2017,
arXiv:1703.10717)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BEGANDecoder(nn.Module):
    """Codes, (N, code), to pictures without an output activation, (N, channels, H, W): the generator too.

    One linear layer to the smallest maps, two convolutions of 3 pixels at each size, which nearest neighbours double.

    Args:
        size: (height, width), of which the sides must be multiples of 2 ** `levels_of(size)`. width: of all maps.
    """

    def __init__(self, code: int, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        levels = levels_of(size)
        self._start = (width, size[0] // 2**levels, size[1] // 2**levels)
        self.start = nn.Linear(code, width * self._start[1] * self._start[2])
        self.layers = nn.ModuleList(_same(width, width) for _ in range(2 * (levels + 1)))
        self.end = _same(width, channels)

    def forward(self, codes: Tensor) -> Tensor:
        """Pictures of codes."""
        x = self.start(codes).unflatten(1, self._start)
        for i, layer in enumerate(self.layers):
            if i and i % 2 == 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.elu(layer(x))
        pictures: Tensor = self.end(x)
        return pictures


class BEGANEncoder(nn.Module):
    """Pictures, (N, channels, H, W), to codes, (N, code).

    Two convolutions at each size, and one of stride 2 to the next; the width grows by `width` at each.
    """

    def __init__(self, code: int, channels: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        levels, wide = levels_of(size), width
        self.layers = nn.ModuleList([_same(channels, width)])
        for level in range(levels + 1):
            out = width * (level + 1)
            self.layers += [_same(wide, out), _same(out, out)]
            if level < levels:
                self.layers.append(nn.Conv2d(out, out, 3, 2, 1))
            wide = out
        self.end = nn.Linear(wide * (size[0] // 2**levels) * (size[1] // 2**levels), code)

    def forward(self, pictures: Tensor) -> Tensor:
        """Codes of pictures."""
        x = pictures
        for layer in self.layers:
            x = F.elu(layer(x))
        codes: Tensor = self.end(x.flatten(1))
        return codes


class BEGANAutoencoder(nn.Module):
    """The discriminator: pictures to the same pictures as it rebuilds them.

    Args:
        encoder: pictures to codes, (N, code). decoder: the reverse.

    Attributes:
        k: how much the loss of fakes counts, from 0 to 1: a buffer, which is saved with the weights.
    """

    k: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("k", torch.zeros(()))

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures rebuilt, (N, channels, H, W)."""
        rebuilt: Tensor = self.decoder(self.encoder(pictures))
        return rebuilt


def levels_of(size: tuple[int, int]) -> int:
    """How often a size (height, width) is halved, until the shorter side is 8 to 15 pixels."""
    return max(0, min(size).bit_length() - 4)


def init_xavier(network: nn.Module) -> nn.Module:
    """Initialise by Glorot and Bengio's uniform distribution, the default of the authors' library; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return network


def _same(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
