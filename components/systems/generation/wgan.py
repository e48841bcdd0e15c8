"""WGAN: a critic whose weights are clipped (Arjovsky et al. 2017, arXiv:1701.07875)."""

from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import nn

from components.systems.generation.pair import PairLossName, PairSection, pair
from components.systems.generation.pair_networks import AnyPairNetworks, ConvolutionsConfig, make_networks
from components.systems.system import Published, Shape, System


class WGANConfig(PairSection):
    """The defaults are the paper's, with the small form of DCGAN's networks that its code has.

    Attributes:
        clip: every weight of the critic, those of its norms too, stays between -clip and clip.
    """

    name: Literal["wgan"] = "wgan"
    networks: AnyPairNetworks = ConvolutionsConfig()
    adversarial: PairLossName = "wasserstein"
    num_critic: PositiveInt = 5
    clip: PositiveFloat = 0.01


def wgan(config: WGANConfig, shape: Shape) -> System:
    """The generator at each `num_critic`-th step, then the critic.

    The authors' code takes 100 steps of the critic for each of the first 25 of the generator, and for each 500th; the
    paper does not, and neither does this.

    Raises:
        Fault: sides that the networks cannot halve.
    """

    @torch.no_grad()
    def clip(networks: nn.ModuleDict) -> None:
        for weight in networks["discriminator"].parameters():
            weight.clamp_(-config.clip, config.clip)

    generator, critic = make_networks(config.networks, config, shape)
    system = pair(config, shape, generator, critic, Published(optimizer="rmsprop", learning_rate=5e-5), after=clip)
    clip(system.networks)
    return system
