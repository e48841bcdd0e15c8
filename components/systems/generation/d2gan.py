"""D2GAN: one discriminator likes real pictures and a second one fakes, for both directions of the KL divergence
(Nguyen et al. 2017, arXiv:1709.03831)."""

from typing import Literal

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from components.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from components.networks.layers import NormName, init_normal
from components.objectives import dual
from components.objectives.adversarial import SEEN, told_apart
from components.systems.generation.from_noise import FromNoise, NoiseSection, Prior, require_levels
from components.systems.generation.point_networks import point_networks
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms


class D2GANConfig(NoiseSection):
    """The networks are DCGAN's, with two discriminators of one kind.

    Attributes:
        alpha, beta: weights of KL(data, made), which asks for all of the data, and of KL(made, data), which asks for
            nothing else, in what the generator minimises at the best discriminators. The paper tunes both for each data
            set; 0.1 is our choice.
        width: channels next to the pictures.
    """

    name: Literal["d2gan"] = "d2gan"
    prior: Prior = "uniform"
    alpha: PositiveFloat = 0.1
    beta: PositiveFloat = 0.1
    width: PositiveInt = 64
    kernel: Literal[4, 5] = 4
    norm: NormName = "batch"


def d2gan(config: D2GANConfig, shape: Shape) -> System:
    """Both discriminators, then the generator, each at every step, of the same fakes.

    Raises:
        Fault: sides that the levels cannot halve.
    """
    noise = FromNoise(shape, config)

    def judged(networks: nn.ModuleDict, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return networks["discriminator"](pictures), networks["second_discriminator"](pictures)

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fakes = batch["fake"] = noise.draw(networks["generator"], batch["seeds"], None)
        fake, real = judged(networks, fakes.detach()), judged(networks, batch["target"])
        batch[f"{SEEN}told_apart"] = told_apart(fake[0], real[0])
        return dual.discriminators(real, fake, config.alpha, config.beta)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        return dual.generator(judged(networks, batch["fake"]), config.beta)

    return noise.system(
        networks=_networks(config, shape),
        phases=(
            Phase("discriminator", ("discriminator", "second_discriminator"), discriminator_terms),
            Phase("generator", ("generator",), generator_terms),
        ),
        published=Published(learning_rate=2e-4, betas=(0.5, 0.999)),
    )


def _networks(config: D2GANConfig, shape: Shape) -> dict[str, nn.Module]:
    """Initialised."""
    if shape.target.kind == "point":
        generator, discriminator = point_networks(config)
        return {
            "generator": generator,
            "discriminator": discriminator,
            "second_discriminator": point_networks(config)[1],
        }
    require_levels("d2gan", shape.target.height_width)
    channels = shape.target.channels
    shared = (shape.target.height_width, config.width, config.kernel, config.norm, 0)
    networks = {
        "generator": DCGANGenerator(config.latent, channels, *shared),
        "discriminator": DCGANDiscriminator(channels, *shared),
        "second_discriminator": DCGANDiscriminator(channels, *shared),
    }
    return {name: init_normal(network) for name, network in networks.items()}
