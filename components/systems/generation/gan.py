"""GAN: the first one, of fully connected networks (Goodfellow et al. 2014, arXiv:1406.2661)."""

from typing import Literal

from components.systems.generation.from_noise import Prior
from components.systems.generation.pair import PairSection, pair
from components.systems.generation.pair_networks import AnyPairNetworks, FullyConnectedConfig, make_networks
from components.systems.system import Published, Shape, System


class GANConfig(PairSection):
    """The defaults are the paper's for digits. `adversarial: minimax` is its equation 1; vanilla, the non-saturating
    loss of its section 3, is what it trains with."""

    name: Literal["gan"] = "gan"
    prior: Prior = "uniform"
    networks: AnyPairNetworks = FullyConnectedConfig()


def gan(config: GANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step.

    Raises:
        Fault: sides that the networks cannot halve.
    """
    networks = make_networks(config.networks, config, shape)
    return pair(config, shape, *networks, Published(optimizer="sgd", learning_rate=0.1, momentum=0.5))
