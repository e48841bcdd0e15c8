"""Historical averaging: a network is held near the mean of its own past weights (Salimans et al. 2016,
arXiv:1606.03498, section 3.3)."""

from typing import Any

import torch
from torch import Tensor, nn


class HistoricalAverage:
    """The mean of a network's parameters over all steps at which its distance was asked for.

    All ranks have the same parameters, and so the same mean. How many steps there were is counted on the device: a step
    looks at nothing from the host.
    """

    def __init__(self) -> None:
        self._seen = torch.zeros((), dtype=torch.int64)
        self._means: dict[str, Tensor] = {}

    def distance(self, network: nn.Module) -> Tensor:
        """Take in the parameters as they are now; gives their squared distance from the mean, a scalar."""
        weights = dict(network.named_parameters())
        self._take_in({name: weight.detach() for name, weight in weights.items()})
        return torch.stack([(weight - self._means[name]).square().sum() for name, weight in weights.items()]).sum()

    def _take_in(self, weights: dict[str, Tensor]) -> None:
        if not self._means:
            self._means = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        device = next(iter(weights.values())).device
        if self._seen.device != device:
            self._seen = self._seen.to(device)
            self._means = {name: mean.to(device) for name, mean in self._means.items()}
        self._seen += 1
        for name, weight in weights.items():
            self._means[name].lerp_(weight, 1 / self._seen)

    def state_dict(self) -> dict[str, Any]:
        """The means by the parameters' names, and of how many steps they are."""
        return {"seen": int(self._seen), "means": {name: mean.cpu().clone() for name, mean in self._means.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state as `state_dict` gives it."""
        self._seen = torch.tensor(state["seen"])
        self._means = {name: mean.clone() for name, mean in state["means"].items()}
