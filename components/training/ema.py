"""Exponential moving average of weights: the networks that are looked at, steadier than those that learn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Averages of the parameters of named networks; BatchNorm's moments, averages themselves, are taken as they are.

    After each step average = decay * average + (1 - decay) * weight, with the decay of the first steps
    held to (1 + t) / (10 + t), so a short run does not remember its initialisation.
    """

    def __init__(self, networks: nn.ModuleDict, names: tuple[str, ...], decay: float) -> None:
        self.decay = decay
        self.weights = {f"{name}.{key}": value for name in names for key, value in networks[name].named_parameters()}
        self.averages = {key: value.detach().clone() for key, value in self.weights.items()}

    def share(self, step: int) -> float:
        """How much of the weights after step `step` (from 0) the averages take in."""
        return 1 - min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, share: float | Tensor) -> None:
        """Take in that share of the weights; a scalar on their device may hold it."""
        averages = list(self.averages.values())
        weights: list[Tensor] = list(self.weights.values())
        if isinstance(share, float):
            torch._foreach_lerp_(averages, weights, share)
            return
        changes = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(changes, share)
        torch._foreach_add_(averages, changes)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The networks carry their averages inside the block, and their own weights again after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for key, weight in self.weights.items():
            weight.data, self.averages[key] = self.averages[key], weight.data

    @torch.no_grad()
    def load(self, averages: Mapping[str, Tensor]) -> None:
        """Take averages by the names that they have here, such as those of a checkpoint."""
        for key, average in self.averages.items():
            average.copy_(averages[key])
