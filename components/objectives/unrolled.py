"""Gradient steps that can be differentiated through, for a player who looks ahead (Metz et al. 2017,
arXiv:1611.02163)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from components.networks import across_ranks

Weights = dict[str, Tensor]


def unrolled(loss: Callable[[Weights], Tensor], weights: Weights, steps: int, rate: float) -> Weights:
    """Weights after some gradient steps on a loss; those that are given stay as they are.

    The new weights depend on the old ones and on all that the loss is made of, by their gradient too. With several
    ranks each step takes the mean of the ranks' gradients, as one process would on the joined batch.

    Args:
        loss: gives a scalar, the mean over this rank's samples, of weights by name.
        rate: of each step, which goes against the gradient.
    """
    for _ in range(steps):
        gradients = torch.autograd.grad(loss(weights), list(weights.values()), create_graph=True)
        weights = {
            name: weight - rate * across_ranks.mean(gradient)
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
    return weights


def with_weights(network: nn.Module, weights: Weights) -> Callable[[Tensor], Tensor]:
    """A network with other weights than its own; its buffers, such as BatchNorm's moments, stay as they are."""

    def run(x: Tensor) -> Tensor:
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        result: Tensor = functional_call(network, {**weights, **buffers}, (x,))
        return result

    return run
