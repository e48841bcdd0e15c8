"""DCGAN's generator and discriminator, with a condition in every layer where one is given (Radford et al. 2016,
arXiv:1511.06434)."""

import torch
from torch import Tensor, nn

from components.networks.layers import NormName, needs_bias, norm


def base_of(size: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """What stride-2 levels bring a size (height, width) down to, of which the shorter side is 4 to 7 pixels, and how
    many there are; sides that the levels do not divide are for the caller to refuse."""
    levels = max(0, min(size).bit_length() - 3)
    return (size[0] // 2**levels, size[1] // 2**levels), levels


class DCGANGenerator(nn.Module):
    """A latent, (N, latent), to pictures before their output activation, (N, channels, H, W).

    One linear layer to the smallest maps, then stride-2 transposed convolutions, ReLU after each but the last.

    Args:
        size: (height, width). width: channels before the last layer; twice as many at each level towards the latent.
        kernel: 4, or 5 as the authors have it. classes: of the condition, joined to every layer's input; 0: none.
    """

    def __init__(
        self, latent: int, channels: int, size: tuple[int, int], width: int, kernel: int, norms: NormName, classes: int
    ) -> None:
        super().__init__()
        base, levels = base_of(size)
        bias = needs_bias(norms)
        wide = width * 2 ** max(0, levels - 1)
        self.start = nn.ConvTranspose2d(latent + classes, wide, base, bias=bias)
        self.norms = nn.ModuleList([norm(norms, wide)])
        self.layers = nn.ModuleList()
        for level in reversed(range(levels)):
            out = channels if level == 0 else width * 2 ** (level - 1)
            edge, more = (kernel - 1) // 2, kernel % 2
            has_bias = level > 0 and bias
            self.layers.append(nn.ConvTranspose2d(wide + classes, out, kernel, 2, edge, more, bias=has_bias))
            if level:
                self.norms.append(norm(norms, out))
            wide = out

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pictures of latents and, where there is a condition, of one-hot (N, classes)."""
        x = _joined(latent[:, :, None, None], condition)
        return self.grown(torch.relu(self.norms[0](self.start(x))), condition)

    def grown(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pictures of the smallest maps, (N, channels, h, w), that the first layer gives."""
        for i, layer in enumerate(self.layers):
            x = layer(_joined(x, condition))
            if i + 1 < len(self.layers):
                x = torch.relu(self.norms[i + 1](x))
        return x


class DCGANDiscriminator(nn.Module):
    """Pictures, (N, channels, H, W), to one logit each, (N, 1), or more `outputs`: the generator's mirror.

    LeakyReLU 0.2; no normalisation after the first layer.

    Args:
        width: channels after the first layer, doubled at each further one. The rest is as of the generator.
        outputs: values of a picture, of which the first is its logit.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        width: int,
        kernel: int,
        norms: NormName,
        classes: int,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        base, levels = base_of(size)
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for level in range(levels):
            out = width * 2**level
            bias = level > 0 and needs_bias(norms)
            self.layers.append(nn.Conv2d(channels + classes, out, kernel, 2, (kernel - 1) // 2, bias=bias))
            self.norms.append(norm(norms, out) if level else nn.Identity())
            channels = out
        self.end = nn.Conv2d(channels + classes, outputs, base, bias=False)

    def forward(self, pictures: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits of pictures and, where there is a condition, of one-hot (N, classes)."""
        x = pictures
        for layer, normalise in zip(self.layers, self.norms, strict=True):
            x = nn.functional.leaky_relu(normalise(layer(_joined(x, condition))), 0.2)
        logits: Tensor = self.end(_joined(x, condition)).flatten(1)
        return logits


def _joined(x: Tensor, condition: Tensor | None) -> Tensor:
    """Maps with further ones, each of which is 1 everywhere where its class is asked for."""
    if condition is None:
        return x
    planes = condition[:, :, None, None].to(x.dtype).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], dim=1)
