"""Unrolled GAN: the generator learns against the discriminator as it will be some steps ahead (Metz et al. 2017,
arXiv:1611.02163)."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from components.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from components.networks.layers import NormName, init_normal
from components.networks.unrolled_gan import StackedDiscriminator, StackedGenerator
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.objectives.unrolled import Weights, unrolled, with_weights
from components.samples.schema import Section
from components.systems.generation.from_noise import FromNoise, NoiseSection, require_levels
from components.systems.generation.pair_networks import ConvolutionsConfig
from components.systems.generation.point_networks import point_networks
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms


class StackedConfig(Section):
    """The paper's for stacked digits; `critic_width` is 4 or 2 there."""

    name: Literal["stacked"] = "stacked"
    width: PositiveInt = 8
    critic_width: PositiveInt = 4
    norm: NormName = "batch"


class UnrolledGANConfig(NoiseSection):
    """The default networks are DCGAN's; configs/papers/unrolled_gan.yaml has the paper's own.

    Attributes:
        adversarial: of both players; the paper's generator has `minimax`.
        num_unrolled: the discriminator's steps that the generator looks ahead; with 0 it is a plain GAN.
        inner_rate: learning rate of these steps. They are the plain gradient steps of the paper's equations, whatever
            the optimizer; the value is ours.
    """

    name: Literal["unrolled_gan"] = "unrolled_gan"
    adversarial: AdversarialName = "vanilla"
    num_unrolled: int = Field(default=5, ge=0, le=100)
    inner_rate: PositiveFloat = 0.01
    networks: Annotated[ConvolutionsConfig | StackedConfig, Field(discriminator="name")] = ConvolutionsConfig()


def unrolled_gan(config: UnrolledGANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step, of the same fakes.

    The steps ahead start from the discriminator as it is after its own step, on the same real and fake pictures, and
    nothing of them is kept.

    Raises:
        Fault: sides that the levels cannot halve.
    """
    loss, noise = ADVERSARIAL[config.adversarial], FromNoise(shape, config)

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = batch["fake"] = noise.draw(networks["generator"], batch["seeds"], None)
        judge = networks["discriminator"]
        return loss.discriminator(batch, judge(fake.detach()), judge(batch["target"]), share=1.0)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        judge, fake, real = networks["discriminator"], batch["fake"], batch["target"]
        if not config.num_unrolled:
            return {"adversarial": loss.generator(judge(fake))}

        def discriminated(weights: Weights) -> Tensor:
            changed = with_weights(judge, weights)
            return loss.fake(changed(fake)) + loss.real(changed(real))

        ahead = unrolled(discriminated, dict(judge.named_parameters()), config.num_unrolled, config.inner_rate)
        return {"adversarial": loss.generator(with_weights(judge, ahead)(fake))}

    generator, discriminator = _networks(config, shape)
    return noise.system(
        networks={"generator": generator, "discriminator": discriminator},
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), generator_terms),
        ),
        published=Published(learning_rate=2e-4, betas=(0.5, 0.999)),
    )


def _networks(config: UnrolledGANConfig, shape: Shape) -> tuple[nn.Module, nn.Module]:
    """Initialised."""
    if shape.target.kind == "point":
        return point_networks(config)
    channels, size = shape.target.channels, shape.target.height_width
    match config.networks:
        case ConvolutionsConfig(width=width, kernel=kernel, norm=norm):
            require_levels("unrolled_gan", size)
            generator = DCGANGenerator(config.latent, channels, size, width, kernel, norm, 0)
            critic_norm = config.networks.critic_norm or norm
            discriminator = DCGANDiscriminator(channels, size, width, kernel, critic_norm, 0)
            return init_normal(generator), init_normal(discriminator)  # in DCGAN's order, which decides its weights
        case StackedConfig(width=width, critic_width=critic_width, norm=norm):
            return (
                init_normal(StackedGenerator(config.latent, channels, size, width, norm)),
                init_normal(StackedDiscriminator(channels, size, critic_width, norm)),
            )
