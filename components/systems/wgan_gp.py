"""WGAN-GP: a critic whose gradient is held near length 1 by a penalty (Gulrajani et al. 2017, arXiv:1704.00028)."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from components.networks.wgan_gp import ResidualCritic, ResidualGenerator
from components.objectives.adversarial import ADVERSARIAL
from components.objectives.penalties import GradientPenaltyConfig
from components.systems.from_noise import FromNoise, NoiseSection, require_levels
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms


class WGANGPConfig(NoiseSection):
    """The defaults are the paper's for CIFAR-10 without labels; a step is one of the critic.

    Attributes:
        num_critic: steps of the critic for each of the generator.
        lambda_penalty: weight of (|gradient| - penalty_norm)² between real and fake pictures.
        width: channels of every block.
    """

    name: Literal["wgan_gp"] = "wgan_gp"
    latent: PositiveInt = 128
    num_critic: PositiveInt = 5
    lambda_penalty: NonNegativeFloat = 10.0
    penalty_norm: PositiveFloat = 1.0
    width: PositiveInt = 128


def wgan_gp(config: WGANGPConfig, shape: Shape) -> System:
    """The generator at each `num_critic`-th step, and then, as the authors step, the critic, each with fresh latents.

    Raises:
        Fault: sides that the blocks cannot halve.
    """
    require_levels("wgan_gp", shape.size)
    loss, noise = ADVERSARIAL["wasserstein"], FromNoise(shape, config)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = noise.draw(networks["generator"], batch["seeds"], None, draw=1)
        return {"adversarial": loss.generator(networks["discriminator"](fake))}

    def critic_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        with torch.no_grad():
            fake = noise.draw(networks["generator"], batch["seeds"], None)
        judged = networks["discriminator"](fake), networks["discriminator"](batch["target"])
        terms = loss.discriminator(batch, *judged, share=1.0)
        if config.lambda_penalty:
            held = GradientPenaltyConfig(weight=config.lambda_penalty, norm=config.penalty_norm)
            terms["penalty"] = noise.penalised(held, networks, batch, fake)
        return terms

    channels = shape.target.channels
    networks = {
        "generator": ResidualGenerator(config.latent, channels, shape.size, config.width),
        "discriminator": ResidualCritic(channels, config.width),
    }
    return System(
        networks=nn.ModuleDict({name: _initialised(network) for name, network in networks.items()}),
        phases=(
            Phase("generator", ("generator",), generator_terms, every=config.num_critic),
            Phase("discriminator", ("discriminator",), critic_terms),
        ),
        uses={"generator": noise.use()},
        validation=noise.validation,
        averaged=("generator",),
        published=Published(learning_rate=2e-4, betas=(0.0, 0.9)),
    )


def _initialised(network: nn.Module) -> nn.Module:
    """He's initialisation, uniform, as in the authors' code; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
