"""WGAN-GP: a critic whose gradient is held near length 1 by a penalty (Gulrajani et al. 2017, arXiv:1704.00028)."""

from typing import Literal

from pydantic import PositiveInt

from components.networks.layers import init_he
from components.networks.wgan_gp import ResidualCritic, ResidualGenerator
from components.objectives.penalties import GradientPenaltyConfig, PenaltyConfig
from components.systems.generation.from_noise import require_levels
from components.systems.generation.pair import PairLossName, PairSection, pair
from components.systems.generation.point_networks import point_networks
from components.systems.system import Published, Shape, System


class WGANGPConfig(PairSection):
    """The defaults are the paper's for CIFAR-10 without labels.

    Attributes:
        width: channels of every block.
    """

    name: Literal["wgan_gp"] = "wgan_gp"
    latent: PositiveInt = 128
    adversarial: PairLossName = "wasserstein"
    penalty: PenaltyConfig | None = GradientPenaltyConfig()
    num_critic: PositiveInt = 5
    width: PositiveInt = 128


def wgan_gp(config: WGANGPConfig, shape: Shape) -> System:
    """The generator at each `num_critic`-th step, and then, as the authors step, the critic, each with fresh latents.

    Raises:
        Fault: sides that the blocks cannot halve.
    """
    published = Published(learning_rate=2e-4, betas=(0.0, 0.9))
    if shape.target.kind == "point":
        return pair(config, shape, *point_networks(config), published)
    require_levels("wgan_gp", shape.target.height_width)
    channels = shape.target.channels
    generator = ResidualGenerator(config.latent, channels, shape.target.height_width, config.width)
    critic = ResidualCritic(channels, config.width)
    return pair(config, shape, init_he(generator), init_he(critic), published)
