"""DRAGAN: a gradient penalty near real pictures alone (Kodali et al. 2017, arXiv:1705.07215)."""

from typing import Literal

from components.objectives.penalties import DRAGANConfig as NearRealConfig
from components.objectives.penalties import PenaltyConfig
from components.systems.generation.pair import PairSection, pair
from components.systems.generation.pair_networks import AnyPairNetworks, ConvolutionsConfig, make_networks
from components.systems.system import Published, Shape, System


class DRAGANConfig(PairSection):
    """The discriminator has no norm: a penalty is of each picture's own gradient."""

    name: Literal["dragan"] = "dragan"
    networks: AnyPairNetworks = ConvolutionsConfig(critic_norm="none")
    penalty: PenaltyConfig | None = NearRealConfig()


def dragan(config: DRAGANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step.

    Raises:
        Fault: sides that the networks cannot halve.
    """
    networks = make_networks(config.networks, config, shape)
    return pair(config, shape, *networks, Published(learning_rate=1e-4, betas=(0.5, 0.9)))
