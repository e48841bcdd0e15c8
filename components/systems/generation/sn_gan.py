"""SN-GAN: every weight of the discriminator is divided by its spectral norm (Miyato et al. 2018, arXiv:1802.05957)."""

from typing import Literal

from pydantic import PositiveInt

from components.systems.generation.pair import PairLossName, PairSection, pair
from components.systems.generation.pair_networks import AnyPairNetworks, ResidualConfig, make_networks
from components.systems.system import Published, Shape, System


class SNGANConfig(PairSection):
    """The defaults are the paper's ResNet for CIFAR-10; `networks: {name: sn_cnn}` is its standard CNN."""

    name: Literal["sn_gan"] = "sn_gan"
    latent: PositiveInt = 128
    networks: AnyPairNetworks = ResidualConfig(width=256, critic_width=128, pooled="sum")
    adversarial: PairLossName = "hinge"
    spectral: bool = True
    num_critic: PositiveInt = 5


def sn_gan(config: SNGANConfig, shape: Shape) -> System:
    """The generator at each `num_critic`-th step, then the discriminator, each with fresh latents.

    Raises:
        Fault: sides that the networks cannot halve.
    """
    networks = make_networks(config.networks, config, shape)
    return pair(config, shape, *networks, Published(learning_rate=2e-4, betas=(0.0, 0.9)))
