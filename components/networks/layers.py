"""Layers that several networks share: normalisation by name, and the papers' initialisation."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from components.networks import across_ranks

NormName = Literal["batch", "sync_batch", "instance", "none"]
_INSIDE = 0.98  # of the range of tanh, whose inverse is infinite at its ends
RESIDUAL_SCALE = 0.1  # of what a residual network adds: one step of Adam moves all weights behind a pixel at once


class Residual(nn.Module):
    """Layers whose output is added to their input.

    Args:
        layers: from (N, C, H, W) to the same shape, convolutions among them.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def start_as_identity(self) -> None:
        """Start at nothing beside the input (Zhang et al. 2019, arXiv:1901.09321): without a norm, each block
        would double the variance."""
        last = next(layer for layer in reversed(self.layers) if isinstance(layer, nn.Conv2d))
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        out: Tensor = x + self.layers(x)
        return out


class SyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm whose batch statistics are taken over all ranks (torch's own runs on GPUs only).

    Two ranks of n samples see what one process of 2n samples sees, forward and backward. Takes and
    gives (N, C, H, W); equal to `nn.BatchNorm2d` in a single process and in eval mode.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the moments of the joined batch."""
        ranks = across_ranks.num_ranks()
        if not self.training or ranks == 1:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        own = torch.stack(torch.var_mean(wide, dim=(0, 2, 3), correction=0))
        variances, means = across_ranks.gather(own[None]).unbind(1)
        mean = means.mean(dim=0)
        # Not the mean square less the square of the mean: where a channel hardly varies, these cancel.
        variance = variances.mean(dim=0) + (means - mean).square().mean(dim=0)
        self._remember(mean.detach(), variance.detach(), x.numel() // x.shape[1] * ranks)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        momentum = self.momentum if self.momentum is not None else 0.1
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), momentum)
        self.num_batches_tracked.add_(1)


def norm(name: NormName, channels: int) -> nn.Module:
    """A normalisation layer by name, for (N, C, H, W).

    `batch` takes statistics per rank, `sync_batch` over all ranks; `instance` is without affine, as in
    the authors' code; `none` is the identity.
    """
    if name == "batch":
        return nn.BatchNorm2d(channels)
    if name == "sync_batch":
        return SyncBatchNorm2d(channels)
    if name == "instance":
        return nn.InstanceNorm2d(channels)
    return nn.Identity()


def needs_bias(name: NormName) -> bool:
    """Whether a convolution before this normalisation has a bias (BatchNorm's shift makes it redundant)."""
    return name in ("instance", "none")


def added_to(source: Tensor, out: Tensor) -> Tensor:
    """What tanh makes a picture of, where a network's output is added to its source: taken back through tanh, so that
    a network whose output is 0 gives its source again.

    The output is scaled down, since one step could otherwise saturate tanh for good.

    Args:
        source: (N, C, H, W) in [-1, 1]. out: the same shape.
    """
    return RESIDUAL_SCALE * out + torch.atanh(_INSIDE * source)


InitName = Literal["normal", "kaiming"]


def init_kaiming(network: nn.Module) -> nn.Module:
    """Initialise for LeakyReLU 0.2 so that variance is kept (He et al. 2015, arXiv:1502.01852), biases 0.

    Without normalisation layers the papers' N(0, 0.02) shrinks the signal at every layer, and a
    discriminator learns next to nothing in its first thousand steps.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, 0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def init_normal(network: nn.Module, std: float = 0.02) -> nn.Module:
    """Initialise as the authors do: weights N(0, 0.02), BatchNorm gain N(1, 0.02), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
            nn.init.zeros_(module.bias)
    return network


def init_he(network: nn.Module, normal: bool = False) -> nn.Module:
    """Initialise for ReLU by He's distribution, uniform as in the code of WGAN-GP or normal; biases 0."""
    draw = nn.init.kaiming_normal_ if normal else nn.init.kaiming_uniform_
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def spectrally_normalised(network: nn.Module) -> nn.Module:
    """Divide each weight by its greatest singular value, which one power iteration a forward in train mode follows.

    The weight of a convolution is the matrix (out, in * height * width). The iterates are buffers, which are saved;
    they depend on the weights and the number of forwards alone, so ranks agree. It comes after the initialisation.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)
    return network
