"""MGAN's generator: many in one that share all but their first layer (Hoang et al. 2018, arXiv:1708.02556)."""

import math

import torch
from torch import Tensor, nn

from components.networks.dcgan import DCGANGenerator
from components.networks.layers import NormName, norm


class MGANGenerator(DCGANGenerator):
    """DCGAN's generator with several first layers, its heads: each is linear, with a normalisation of each unit.

    In use, one head makes each picture: a latent, (N, latent + 1), has a last value that decides which, all of them
    equally often under the prior.

    Args:
        normal: whether the values of a latent are unit normal; else they are uniform from -1 to 1.
    """

    def __init__(
        self,
        num_heads: int,
        latent: int,
        channels: int,
        size: tuple[int, int],
        width: int,
        kernel: int,
        norms: NormName,
        normal: bool,
    ) -> None:
        super().__init__(latent, channels, size, width, kernel, norms, 0)
        self._normal = normal
        maps = (self.start.out_channels, *self.start.kernel_size)
        del self.start
        self.norms[0] = nn.Identity()
        self.heads = nn.ModuleList(_head(latent, maps, norms) for _ in range(num_heads))

    def forward(self, latent: Tensor, condition: Tensor | None = None) -> Tensor:
        """A picture of each latent, (N, latent + 1), by the head that its last value decides."""
        started = torch.stack([head(latent[:, :-1]) for head in self.heads], dim=1)
        chosen = heads_of(latent[:, -1], len(self.heads), self._normal)
        return self.grown((started * chosen[:, :, :, None, None]).sum(dim=1), condition)

    def of_every_head(self, latent: Tensor) -> Tensor:
        """Pictures by every head of the same latents, (N, latent), as (heads * N, C, H, W): those of the first head,
        then those of the second. Each head normalises its own, and the layers after it all of them together."""
        return self.grown(torch.cat([head(latent) for head in self.heads]))


def heads_of(values: Tensor, heads: int, normal: bool) -> Tensor:
    """The head that each value of the prior, (N,), decides, as 0 and 1: (N, heads, 1).

    Args:
        normal: whether values are unit normal; else they are uniform from -1 to 1.
    """
    share = (1 + torch.erf(values / math.sqrt(2)) if normal else 1 + values) / 2
    places = (share * heads).long().clamp(0, heads - 1)
    return (torch.arange(heads, device=values.device) == places[:, None]).to(values.dtype)[:, :, None]


def _head(latent: int, maps: tuple[int, ...], norms: NormName) -> nn.Sequential:
    units = math.prod(maps)
    return nn.Sequential(
        nn.Linear(latent, units),
        nn.Unflatten(1, (units, 1, 1)),
        norm("none" if norms == "instance" else norms, units),  # an instance of one pixel has no deviation
        nn.ReLU(),
        nn.Flatten(),
        nn.Unflatten(1, maps),
    )
