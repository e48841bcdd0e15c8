"""The networks that a generator and discriminator from noise may have, as params."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt
from torch import nn

from components.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from components.networks.fully_connected import FullyConnectedDiscriminator, FullyConnectedGenerator
from components.networks.layers import NormName, init_he, init_normal
from components.networks.lsgan import LSGANDiscriminator, LSGANGenerator
from components.networks.r3gan import R3GANDiscriminator, R3GANGenerator
from components.networks.sn_cnn import SNDiscriminator, SNGenerator
from components.networks.wgan_gp import ResidualCritic, ResidualGenerator
from components.samples.schema import Section
from components.systems.generation.from_noise import NoiseSection, require_levels
from components.systems.generation.point_networks import point_networks
from components.systems.system import Shape


class FullyConnectedConfig(Section):
    """The first GAN's; the defaults are its sizes for digits.

    Attributes:
        widths: of the generator's hidden layers, ReLU. critic_widths: of the discriminator's.
        pieces: of each maxout unit of the discriminator; 1: ReLU instead.
        dropout_input, dropout: shares that the discriminator's first layer, and the others, leave out.
    """

    name: Literal["fully_connected"] = "fully_connected"
    widths: tuple[PositiveInt, ...] = Field(default=(1200, 1200), min_length=1)
    critic_widths: tuple[PositiveInt, ...] = Field(default=(240, 240), min_length=1)
    pieces: PositiveInt = 5
    dropout_input: float = Field(default=0.2, ge=0, lt=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)


class ConvolutionsConfig(Section):
    """DCGAN's; `critic_norm` is by default `norm`."""

    name: Literal["convolutions"] = "convolutions"
    width: PositiveInt = 64
    kernel: Literal[4, 5] = 4
    norm: NormName = "batch"
    critic_norm: NormName | None = None


class LSGANNetworksConfig(Section):
    """LSGAN's for scenes; `width` is of the layer before the pictures."""

    name: Literal["lsgan"] = "lsgan"
    width: PositiveInt = 64
    norm: NormName = "batch"


class ResidualConfig(Section):
    """WGAN-GP's; `critic_width` is by default `width`, and `pooled` sum is SN-GAN's."""

    name: Literal["residual"] = "residual"
    width: PositiveInt = 128
    critic_width: PositiveInt | None = None
    pooled: Literal["mean", "sum"] = "mean"


class SNCNNConfig(Section):
    """SN-GAN's standard CNN; `width` is of the layers next to the pictures."""

    name: Literal["sn_cnn"] = "sn_cnn"
    width: PositiveInt = 64


class R3GANNetworksConfig(Section):
    """R3GAN's; `width` is of the maps of up to 32 pixels, halved at each doubling above."""

    name: Literal["r3gan"] = "r3gan"
    width: PositiveInt = 768
    blocks: PositiveInt = 2


PairNetworksConfig = (
    FullyConnectedConfig | ConvolutionsConfig | LSGANNetworksConfig | ResidualConfig | SNCNNConfig | R3GANNetworksConfig
)
AnyPairNetworks = Annotated[PairNetworksConfig, Field(discriminator="name")]


def make_networks(config: PairNetworksConfig, noise: NoiseSection, shape: Shape) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator, initialised as each one's authors do unless its network says otherwise.

    Where the target is points, they are those of point_networks.py whatever `config` says.

    Raises:
        Fault: sides that they cannot halve.
    """
    if shape.target.kind == "point":
        return point_networks(noise)
    latent, channels, size = noise.latent, shape.target.channels, shape.target.height_width
    if not isinstance(config, FullyConnectedConfig):
        require_levels(str(getattr(noise, "name", config.name)), size)
    match config:
        case FullyConnectedConfig():
            critic = config.critic_widths, config.pieces, config.dropout_input, config.dropout
            return (
                init_normal(FullyConnectedGenerator(latent, channels, size, config.widths)),
                init_normal(FullyConnectedDiscriminator(channels, size, *critic)),
            )
        case ConvolutionsConfig(width=width, kernel=kernel, norm=norm):
            return (
                init_normal(DCGANGenerator(latent, channels, size, width, kernel, norm, 0)),
                init_normal(DCGANDiscriminator(channels, size, width, kernel, config.critic_norm or norm, 0)),
            )
        case LSGANNetworksConfig(width=width, norm=norm):
            return (
                init_normal(LSGANGenerator(latent, channels, size, width, norm)),
                init_normal(LSGANDiscriminator(channels, size, width, norm)),
            )
        case ResidualConfig(width=width):
            return (
                init_he(ResidualGenerator(latent, channels, size, width)),
                init_he(ResidualCritic(channels, config.critic_width or width, pooled=config.pooled)),
            )
        case SNCNNConfig(width=width):
            return (
                init_normal(SNGenerator(latent, channels, size, width)),
                init_normal(SNDiscriminator(channels, size, width)),
            )
        case R3GANNetworksConfig(width=width, blocks=blocks):
            return (
                R3GANGenerator(latent, channels, size, width, blocks),
                R3GANDiscriminator(channels, size, width, blocks),
            )
