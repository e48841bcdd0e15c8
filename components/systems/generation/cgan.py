"""cGAN: pictures of a class that is asked for, from noise (Mirza and Osindero 2014, arXiv:1411.1784)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt
from torch import nn

from components.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from components.networks.layers import NormName, init_normal
from components.networks.maxout import MaxoutDiscriminator, MLPGenerator
from components.samples.schema import Section
from components.systems.generation.from_noise import require_levels
from components.systems.generation.pair import PairSection, pair
from components.systems.system import Need, Published, Shape, System


class ConvolutionsConfig(Section):
    """DCGAN's networks with the condition joined to the input of every layer."""

    name: Literal["convolutions"] = "convolutions"
    width: PositiveInt = 64
    kernel: Literal[4, 5] = 4
    norm: NormName = "batch"


class MaxoutConfig(Section):
    """The paper's fully connected networks, of its own sizes."""

    name: Literal["maxout"] = "maxout"
    dropout: float = Field(default=0.5, ge=0, lt=1)


class CGANConfig(PairSection):
    """The defaults are convolutional; configs/papers/cgan.yaml has the paper's own."""

    needs: ClassVar[frozenset[Need]] = frozenset({"condition"})
    name: Literal["cgan"] = "cgan"
    networks: Annotated[ConvolutionsConfig | MaxoutConfig, Field(discriminator="name")] = ConvolutionsConfig()


def cgan(config: CGANConfig, shape: Shape) -> System:
    """Discriminator, then generator; a fake is shown to the discriminator with the class that it was made of.

    Raises:
        Fault: the task asks for no condition; or sides that the levels cannot halve.
    """
    networks = {name: init_normal(network) for name, network in make_conditional(config, shape).items()}
    return pair(config, shape, **networks, published=Published(learning_rate=2e-4, betas=(0.5, 0.999)))


def make_conditional(config: CGANConfig, shape: Shape) -> dict[str, nn.Module]:
    """Generator and discriminator, not yet initialised."""
    channels, size, classes = shape.target.channels, shape.target.height_width, len(shape.condition.classes)
    match config.networks:
        case ConvolutionsConfig(width=width, kernel=kernel, norm=norm):
            require_levels("cgan", size)
            return {
                "generator": DCGANGenerator(config.latent, channels, size, width, kernel, norm, classes),
                "discriminator": DCGANDiscriminator(channels, size, width, kernel, norm, classes),
            }
        case MaxoutConfig(dropout=dropout):
            return {
                "generator": MLPGenerator(config.latent, channels, size, classes, dropout),
                "discriminator": MaxoutDiscriminator(channels, size, classes, dropout),
            }
