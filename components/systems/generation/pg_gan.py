"""PG-GAN: pictures that grow in the course of the training (Karras et al. 2018, arXiv:1710.10196)."""

from typing import Literal

from pydantic import NonNegativeFloat
from torch import Tensor

from components.networks.growing import Growing
from components.networks.noise import latents
from components.networks.pg_gan import PGGANDiscriminator, PGGANGenerator
from components.objectives.adversarial import AdversarialName
from components.objectives.penalties import GradientPenaltyConfig, PenaltyConfig
from components.systems.generation.from_noise import FromNoise
from components.systems.generation.growing import GrowingSection, growing, levels_of, linear
from components.systems.system import Published, Shape, System


class PGGANConfig(GrowingSection):
    """The defaults are the paper's for faces of 1024 pixels, with the group of its code, where the paper takes the
    deviation over the whole batch."""

    name: Literal["pg_gan"] = "pg_gan"
    adversarial: AdversarialName = "wasserstein"
    penalty: PenaltyConfig | None = GradientPenaltyConfig()
    lambda_drift: NonNegativeFloat = 0.001


def pg_gan(config: PGGANConfig, shape: Shape) -> System:
    """Critic, then generator, each at every step, of the same fakes; pictures have no output activation.

    Raises:
        Fault: pictures that are not square, or whose side is no power of two.
    """
    levels, channels = levels_of(config, "pg_gan", shape), shape.target.channels
    noise = FromNoise(shape, config, linear)

    def make(generator: Growing, seeds: Tensor, level: int, alpha: Tensor | None) -> Tensor:
        assert isinstance(generator, PGGANGenerator)
        latent = latents(seeds, config.latent, generator.grown.device, config.prior)
        return linear(shape.target, generator.at(latent, level, alpha))

    networks = (
        PGGANGenerator(config.latent, channels, levels, config.width),
        PGGANDiscriminator(channels, levels, config.width, config.group),
    )
    published = Published(learning_rate=1e-3, betas=(0.0, 0.99))
    return growing(config, levels, networks, make, noise.use(), noise.validation, published)
