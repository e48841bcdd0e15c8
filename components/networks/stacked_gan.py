"""The networks of Stacked GAN (Huang et al. 2017, arXiv:1612.04357; layers as in the authors' code for CIFAR-10,
github.com/xunhuang1995/SGAN). All widths are multiples of the encoder's first one, `width`, which is 64 there."""

import torch
from torch import Tensor, nn

from components.networks.layers import NormName, needs_bias, norm

Size = tuple[int, int]


class Encoder(nn.Module):
    """A classifier of pictures, (N, channels, H, W), whose last hidden layer is the features, (N, 4 * width)."""

    def __init__(self, channels: int, size: Size, width: int, classes: int) -> None:
        super().__init__()
        height, breadth = base_of(size)
        self.layers = nn.Sequential(
            *(nn.Conv2d(channels, width, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(width, 2 * width, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(2 * width * height * breadth, 4 * width), nn.ReLU()),
        )
        self.head = nn.Linear(4 * width, classes)

    def features(self, pictures: Tensor) -> Tensor:
        """Features of pictures, 0 or more."""
        features: Tensor = self.layers(pictures)
        return features

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of the classes, (N, classes)."""
        logits: Tensor = self.head(self.features(pictures))
        return logits


class StackedGenerator(nn.Module):
    """Features of a class, and pictures of the features, each with noise of its own."""

    def __init__(self, latents: tuple[int, int], channels: int, size: Size, width: int, norms: NormName, classes: int):
        super().__init__()
        self.parts = latents
        self.top = FeatureGenerator(latents[0], width, norms, classes)
        self.bottom = PictureGenerator(latents[1], channels, size, width, norms)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """Pictures, before their output activation, of latents, (N, sum of parts), and of one-hot (N, classes)."""
        first, second = latent.split(self.parts, dim=1)
        pictures: Tensor = self.bottom(self.top(condition, first), second)
        return pictures


class FeatureGenerator(nn.Module):
    """The upper generator: a condition, (N, classes), and a latent, (N, latent), to features, (N, 4 * width)."""

    def __init__(self, latent: int, width: int, norms: NormName, classes: int) -> None:
        super().__init__()
        self.of_latent, self.of_condition = _dense(latent, 4 * width, norms), _dense(classes, 8 * width, norms)
        self.layers = nn.Sequential(
            _dense(12 * width, 8 * width, norms), _dense(8 * width, 8 * width, norms), _dense(8 * width, 4 * width)
        )

    def forward(self, condition: Tensor, latent: Tensor) -> Tensor:
        """Features, 0 or more."""
        joined = torch.cat([self.of_latent(_maps(latent)), self.of_condition(_maps(condition))], dim=1)
        features: Tensor = self.layers(joined).flatten(1)
        return features


class PictureGenerator(nn.Module):
    """The lower generator: features, (N, 4 * width), and a latent, (N, latent), to pictures (N, channels, H, W)."""

    def __init__(self, latent: int, channels: int, size: Size, width: int, norms: NormName) -> None:
        super().__init__()
        self._base = (4 * width, *base_of(size))
        self.of_latent = nn.Sequential(_dense(latent, 2 * width, norms), _dense(2 * width, 2 * width, norms))
        units, bias = self._base[0] * self._base[1] * self._base[2], needs_bias(norms)
        self.start = _dense(6 * width, units, norms)
        self.layers = nn.Sequential(
            *(nn.ConvTranspose2d(4 * width, 4 * width, 5, 2, 2, 1, bias=bias), norm(norms, 4 * width), nn.ReLU()),
            *(nn.ConvTranspose2d(4 * width, 2 * width, 5, bias=bias), norm(norms, 2 * width), nn.ReLU()),
            *(nn.ConvTranspose2d(2 * width, 2 * width, 5, 2, 2, 1, bias=bias), norm(norms, 2 * width), nn.ReLU()),
            nn.ConvTranspose2d(2 * width, channels, 5),
        )

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """Pictures before their output activation."""
        joined = torch.cat([_maps(features), self.of_latent(_maps(latent))], dim=1)
        pictures: Tensor = self.layers(self.start(joined).flatten(1).unflatten(1, self._base))
        return pictures


class FeatureDiscriminator(nn.Module):
    """Features, (N, 4 * width), to logits of the classes, (N, classes), and to the latent that they were made of.

    Args:
        noise: deviation of the Gaussian noise that is added to the input of each layer in train mode.
    """

    def __init__(self, latent: int, width: int, norms: NormName, classes: int, noise: float) -> None:
        super().__init__()
        wide = 8 * width
        self.layers = nn.Sequential(
            *(Noise(noise), nn.Conv2d(4 * width, wide, 1), nn.LeakyReLU(0.2)),
            *(Noise(noise), nn.Conv2d(wide, wide, 1, bias=needs_bias(norms)), norm(norms, wide), nn.LeakyReLU(0.2)),
            *(Noise(noise), nn.Flatten()),
        )
        self.head, self.recovers = nn.Linear(wide, classes), nn.Linear(wide, latent)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes, and the recovered latents."""
        seen = self.layers(_maps(features))
        return self.head(seen), self.recovers(seen)


class PictureDiscriminator(nn.Module):
    """Pictures, (N, channels, H, W), to the same of the lower level's.

    Args:
        noise: deviation of the Gaussian noise that is added to the pictures in train mode.
        dropout: share of the values that are left out after each halving.
    """

    def __init__(
        self,
        latent: int,
        channels: int,
        size: Size,
        width: int,
        norms: NormName,
        classes: int,
        noise: float,
        dropout: float,
    ) -> None:
        super().__init__()
        thin, wide = 3 * width // 2, 3 * width
        self.layers = nn.Sequential(
            *(Noise(noise), nn.Conv2d(channels, thin, 3, padding=1), nn.LeakyReLU(0.2)),
            *(_convolution(thin, thin, norms, stride=2), nn.Dropout(dropout)),
            *(_convolution(thin, wide, norms), _convolution(wide, wide, norms, stride=2), nn.Dropout(dropout)),
            *(_convolution(wide, wide, norms, padding=0), nn.Conv2d(wide, wide, 1), nn.LeakyReLU(0.2)),
        )
        self.head = nn.Linear(wide, classes)
        self.recovers = nn.Linear(wide * (size[0] // 4 - 2) * (size[1] // 4 - 2), latent)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes, and the recovered latents."""
        seen = self.layers(pictures)
        return self.head(seen.mean(dim=(2, 3))), self.recovers(seen.flatten(1))


class Noise(nn.Module):
    """Adds Gaussian noise of a deviation in train mode. Like that of dropout, it is decided by the step."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """The same values, with noise."""
        return x + self.std * torch.randn_like(x) if self.training and self.std else x


def base_of(size: Size) -> Size:
    """(height, width) of the smallest maps, which two halvings and two convolutions of 5 without padding lead to."""
    return size[0] // 4 - 3, size[1] // 4 - 3


def _dense(inside: int, outside: int, norms: NormName = "none") -> nn.Sequential:
    """A fully connected layer on maps of one pixel, normalised, ReLU."""
    return nn.Sequential(nn.Conv2d(inside, outside, 1, bias=needs_bias(norms)), norm(norms, outside), nn.ReLU())


def _convolution(inside: int, outside: int, norms: NormName, stride: int = 1, padding: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inside, outside, 3, stride, padding, bias=needs_bias(norms))
    return nn.Sequential(layer, norm(norms, outside), nn.LeakyReLU(0.2))


def _maps(values: Tensor) -> Tensor:
    return values[:, :, None, None]
