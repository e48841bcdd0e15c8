"""R3GAN: a loss of pairs, penalties on both sides, plain residual networks (Huang et al. 2024, arXiv:2501.05441)."""

from typing import Literal

from pydantic import PositiveInt

from components.objectives.penalties import PenaltyConfig, R1R2Config
from components.systems.generation.pair import PairLossName, PairSection, pair
from components.systems.generation.pair_networks import AnyPairNetworks, R3GANNetworksConfig, make_networks
from components.systems.system import Published, Shape, System


class R3GANConfig(PairSection):
    """The defaults are those with which the authors' code begins a run on CIFAR-10.

    In the course of it, their rate falls from 2e-4 to 5e-5 and the penalty from 0.05 to 0.005 (from 2 to 0.2 on faces
    of 64 pixels), and Adam's second beta rises from 0.9 to 0.99; here all three stay.
    """

    name: Literal["r3gan"] = "r3gan"
    latent: PositiveInt = 64
    networks: AnyPairNetworks = R3GANNetworksConfig()
    adversarial: PairLossName = "relativistic"
    penalty: PenaltyConfig | None = R1R2Config(weight=0.05)


def r3gan(config: R3GANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step, of the same pairs.

    Raises:
        Fault: sides that the networks cannot halve.
    """
    networks = make_networks(config.networks, config, shape)
    return pair(config, shape, *networks, Published(learning_rate=2e-4, betas=(0.0, 0.9)))
