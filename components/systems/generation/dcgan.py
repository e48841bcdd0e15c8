"""DCGAN: convolutional networks that make pictures from noise (Radford et al. 2016, arXiv:1511.06434)."""

from typing import Literal

from pydantic import PositiveInt

from components.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from components.networks.layers import NormName, init_normal
from components.systems.generation.from_noise import require_levels
from components.systems.generation.pair import PairSection, pair
from components.systems.generation.point_networks import point_networks
from components.systems.system import Published, Shape, System


class DCGANConfig(PairSection):
    """The paper's networks are `width` 128 and `kernel` 5; the usual small form is the default.

    Attributes:
        width: channels next to the pictures, doubled at each level away from them.
        norm: of both networks; a penalty wants a discriminator without batch statistics.
    """

    name: Literal["dcgan"] = "dcgan"
    width: PositiveInt = 64
    kernel: Literal[4, 5] = 4
    norm: NormName = "batch"


def dcgan(config: DCGANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step; real and fake pictures are two batches, and the generator
    learns from the very fakes that the discriminator has seen.

    Raises:
        Fault: sides that the levels cannot halve.
    """
    published = Published(learning_rate=2e-4, betas=(0.5, 0.999))
    if shape.target.kind == "point":
        return pair(config, shape, *point_networks(config), published)
    require_levels("dcgan", shape.target.height_width)
    channels = shape.target.channels
    shared = (shape.target.height_width, config.width, config.kernel, config.norm, 0)
    generator = DCGANGenerator(config.latent, channels, *shared)
    discriminator = DCGANDiscriminator(channels, *shared)
    return pair(config, shape, init_normal(generator), init_normal(discriminator), published)
