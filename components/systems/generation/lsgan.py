"""LSGAN: least squares in place of cross entropy (Mao et al. 2017, arXiv:1611.04076)."""

from typing import Literal

from pydantic import PositiveInt

from components.systems.generation.from_noise import Prior
from components.systems.generation.pair import PairLossName, PairSection, pair
from components.systems.generation.pair_networks import AnyPairNetworks, LSGANNetworksConfig, make_networks
from components.systems.system import Published, Shape, System


class LSGANConfig(PairSection):
    """The defaults are those of the authors' code for scenes. The labels are 0 and 1, and the generator wants 1."""

    name: Literal["lsgan"] = "lsgan"
    latent: PositiveInt = 1024
    prior: Prior = "uniform"
    networks: AnyPairNetworks = LSGANNetworksConfig()
    adversarial: PairLossName = "lsgan"


def lsgan(config: LSGANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step.

    Raises:
        Fault: sides that the networks cannot halve.
    """
    networks = make_networks(config.networks, config, shape)
    return pair(config, shape, *networks, Published(learning_rate=1e-3, betas=(0.5, 0.999)))
