"""EBGAN's discriminator, an autoencoder of convolutions (Zhao et al. 2017, arXiv:1609.03126)."""

import torch.nn.functional as F
from torch import Tensor, nn

from components.networks.layers import NormName, needs_bias, norm


class EBGANAutoencoder(nn.Module):
    """Pictures, (N, channels, H, W), to the same pictures as it rebuilds them, and their codes, (N, values).

    Three convolutions of stride 2 and 4 pixels, of `width`, twice and four times as many channels, and three
    transposed ones back; LeakyReLU 0.2, no normalisation next to the pictures on either side. The sides must be
    multiples of 8.
    """

    def __init__(self, channels: int, width: int, norms: NormName) -> None:
        super().__init__()
        bias = needs_bias(norms)
        self.encoder = nn.ModuleList(
            [
                nn.Conv2d(channels, width, 4, 2, 1),
                nn.Conv2d(width, 2 * width, 4, 2, 1, bias=bias),
                nn.Conv2d(2 * width, 4 * width, 4, 2, 1, bias=bias),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1, bias=bias),
                nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=bias),
            ]
        )
        self.end = nn.ConvTranspose2d(width, channels, 4, 2, 1)
        self.encoder_norms = nn.ModuleList([nn.Identity(), norm(norms, 2 * width), norm(norms, 4 * width)])
        self.decoder_norms = nn.ModuleList([norm(norms, 2 * width), norm(norms, width)])

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures rebuilt, without an output activation, and codes."""
        x = pictures
        for layer, normalise in zip(self.encoder, self.encoder_norms, strict=True):
            x = F.leaky_relu(normalise(layer(x)), 0.2)
        codes = x.flatten(1)
        for layer, normalise in zip(self.decoder, self.decoder_norms, strict=True):
            x = F.leaky_relu(normalise(layer(x)), 0.2)
        return self.end(x), codes
