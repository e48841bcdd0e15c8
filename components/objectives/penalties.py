"""Penalties on a discriminator's gradient by its pictures, usable with any adversarial loss."""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from components.networks import across_ranks
from components.networks.noise import uniforms
from components.samples.schema import Section

Critic = Callable[[Tensor], Tensor]


class GradientPenaltyConfig(Section):
    """weight * (|gradient| - norm)² between real and fake pictures (Gulrajani et al. 2017, arXiv:1704.00028)."""

    name: Literal["gradient"] = "gradient"
    weight: PositiveFloat = 10.0
    norm: PositiveFloat = 1.0


class DRAGANConfig(Section):
    """weight * (|gradient| - 1)² near real pictures (Kodali et al. 2017, arXiv:1705.07215), perturbed by up to half of
    the standard deviation of the whole batch."""

    name: Literal["dragan"] = "dragan"
    weight: PositiveFloat = 10.0


class R1Config(Section):
    """weight / 2 * |gradient|² at real pictures (Mescheder et al. 2018, arXiv:1801.04406)."""

    name: Literal["r1"] = "r1"
    weight: PositiveFloat = 10.0


class R1R2Config(Section):
    """weight / 2 * |gradient|² at real pictures, and as much again at fakes (Huang et al. 2024, arXiv:2501.05441)."""

    name: Literal["r1_r2"] = "r1_r2"
    weight: PositiveFloat = 10.0


class DriftConfig(Section):
    """weight * value², which keeps a critic's values of real pictures near 0 (Karras et al. 2018, arXiv:1710.10196)."""

    name: Literal["drift"] = "drift"
    weight: PositiveFloat = 0.001


AnyPenaltyConfig = GradientPenaltyConfig | DRAGANConfig | R1Config | R1R2Config | DriftConfig
PenaltyConfig = Annotated[AnyPenaltyConfig, Field(discriminator="name")]


def penalty(config: AnyPenaltyConfig, critic: Critic, real: Tensor, fake: Tensor, seeds: Tensor) -> Tensor:
    """A scalar, differentiable by the critic's weights; in float32 whatever the precision of the rest.

    Args:
        critic: gives values of pictures, (N, C, H, W) to (N, ...).
        fake: as many pictures as `real`; nothing goes back into what made them.
        seeds: (N,); they decide all that is random of each picture.
    """
    with torch.autocast(real.device.type, enabled=False):
        real, fake = real.detach().float(), fake.detach().float()
        match config:
            case DriftConfig():
                return config.weight * critic(real).square().mean()
            case R1Config():
                return 0.5 * config.weight * gradient_norms(critic, real).square().mean()
            case R1R2Config():
                squares = [gradient_norms(critic, pictures).square().mean() for pictures in (real, fake)]
                return 0.5 * config.weight * (squares[0] + squares[1])
            case GradientPenaltyConfig():
                alpha = uniforms(seeds, (1, 1, 1), real.device)
                between = real + alpha * (fake - real)
                return config.weight * (gradient_norms(critic, between) - config.norm).square().mean()
            case DRAGANConfig():
                alpha, noise = uniforms(seeds, (1, 1, 1), real.device), uniforms(seeds + 1, real.shape[1:], real.device)
                near = real + alpha * 0.5 * _std(real) * noise
                return config.weight * (gradient_norms(critic, near) - 1).square().mean()


def gradient_norms(critic: Critic, pictures: Tensor) -> Tensor:
    """The length of the gradient of each picture's value by all of its own pixels, (N,)."""
    pictures = pictures.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(pictures).sum(), pictures, create_graph=True)
    # A gradient of exactly 0 has no direction; the smallest number keeps its length differentiable.
    return gradient.flatten(1).square().sum(dim=1).add(1e-12).sqrt()


def _std(pictures: Tensor) -> Tensor:
    """The standard deviation of all values of the whole batch, over all ranks."""
    moments = across_ranks.mean(torch.stack([pictures.mean(), pictures.square().mean()]))
    return (moments[1] - moments[0].square()).clamp(min=0).sqrt()
