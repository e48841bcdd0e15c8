"""Layers with an equalised learning rate (Karras et al. 2018, arXiv:1710.10196, section 4.1), and PG-GAN's norms."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.networks import across_ranks

GAIN = math.sqrt(2)  # He's, for what a ReLU or a LeakyReLU follows
_SLOPE = 0.2


class _Equalised(nn.Module):
    """A weight that starts as N(0, 1) and is multiplied by gain / sqrt(inputs of a unit) whenever it is used.

    So an optimizer whose steps do not depend on the size of the gradient moves all layers alike.

    Args:
        shape: of the weight, the units first.
        rate: multiplies the learning rate of weight and bias: both are kept larger by 1 / rate, and used smaller.
    """

    def __init__(self, shape: tuple[int, ...], gain: float, rate: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) / rate)
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self._scale, self._rate = gain / math.sqrt(math.prod(shape[1:])) * rate, rate

    def used(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias as the layer uses them."""
        bias = self.bias if self.bias is None or self._rate == 1 else self.bias * self._rate
        return self.weight * self._scale, bias


class EqualisedConv2d(_Equalised):
    """A convolution with stride 1, (N, inside, H, W) to (N, outside, H', W').

    Args:
        padding: by default that which keeps the size, of an odd kernel.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        kernel: int,
        gain: float = GAIN,
        padding: int | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__((outside, inside, kernel, kernel), gain, bias=bias)
        self._padding = kernel // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        """Maps of maps."""
        return F.conv2d(x, *self.used(), padding=self._padding)


class EqualisedLinear(_Equalised):
    """A linear layer, (N, inside) to (N, outside)."""

    def __init__(self, inside: int, outside: int, gain: float = GAIN, rate: float = 1.0) -> None:
        super().__init__((outside, inside), gain, rate)

    def forward(self, x: Tensor) -> Tensor:
        """Units of units."""
        return F.linear(x, *self.used())


def activated(x: Tensor) -> Tensor:
    """LeakyReLU of slope 0.2."""
    return F.leaky_relu(x, _SLOPE)


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's vector of channels (N, C, ...), or each latent (N, C), divided by its root mean square."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class MinibatchDeviation(nn.Module):
    """Appends one channel: how much pictures differ from each other, so that a discriminator sees when they do not.

    It is the standard deviation over the pictures of each feature at each place, averaged over both, over the joined
    batch of all ranks.

    Args:
        group: over how many pictures it is taken; None: over the whole joined batch. As in the authors' code, the
            pictures of a group lie equally far apart in the batch.
    """

    def __init__(self, group: int | None) -> None:
        super().__init__()
        self._group = group

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + 1, H, W); the joined batch is a multiple of the group, or no larger."""
        joined = across_ranks.gather(x)
        size = len(joined) if self._group is None else min(self._group, len(joined))
        groups = joined.unflatten(0, (size, -1))
        deviation = (groups.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        own = across_ranks.own(deviation.repeat(size))
        return torch.cat([x, own[:, None, None, None].expand(-1, 1, *x.shape[2:])], dim=1)
