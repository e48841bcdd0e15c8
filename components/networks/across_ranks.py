"""Statistics over the joined batch of all ranks, differentiable any number of times.

Two ranks of n samples compute what one process computes on the 2n: the value, its gradient and the gradient of
that gradient, as penalties need it. In a single process they are the plain operation. Every rank must call them in
the same order.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def num_ranks() -> int:
    """How many ranks train together; 1 outside a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean(x: Tensor) -> Tensor:
    """The mean of a tensor over all ranks, of its own shape.

    Where ranks hold equally many samples, the mean over ranks of a mean over samples is the mean over all.
    """
    ranks = num_ranks()
    return x if ranks == 1 else _Sum.apply(x) / ranks


def gather(x: Tensor) -> Tensor:
    """(N, ...) of each rank -> (ranks * N, ...) on every rank, in the order of the ranks."""
    return x if num_ranks() == 1 else _Gather.apply(x).flatten(0, 1)


def own(x: Tensor) -> Tensor:
    """This rank's part of what `gather` gave, (ranks * N, ...) -> (N, ...)."""
    ranks = num_ranks()
    return x if ranks == 1 else x.chunk(ranks)[dist.get_rank()]


class _Sum(torch.autograd.Function):
    """The sum over all ranks, whose gradient is the sum of the ranks' gradients, by the same function again."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(gradients[0])
        return total


class _Gather(torch.autograd.Function):
    """(...) -> (ranks, ...), whose gradient is this rank's part of the sum of the ranks' gradients."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(num_ranks())]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(gradients[0])
        return total[dist.get_rank()]
