"""StarGAN: one translator for all classes, or all attributes, of a domain (Choi et al. 2018, arXiv:1711.09020)."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from components.networks.layers import NormName
from components.networks.star_gan import StarDiscriminator, StarGenerator
from components.objectives.adversarial import ADVERSARIAL
from components.objectives.class_loss import class_loss
from components.objectives.penalties import GradientPenaltyConfig, penalty
from components.systems.system import Batch, Given, Moment, Phase, Published, Shape, System, Terms, Use, output
from components.systems.translation.within import (
    WithinSection,
    distance_by_class,
    exchanged,
    exchanged_over_ranks,
    require_pictures,
)


class StarGANConfig(WithinSection):
    """The defaults are the paper's (configs/papers/star_gan.yaml).

    Attributes:
        lambda_class: weight of how well the class, or the attributes, are read back: of real pictures by the
            discriminator, of fakes by the generator. lambda_cycle: of |G(G(source, asked), its own) - source|.
        lambda_penalty: of the gradient penalty.
        num_critic: steps of the discriminator for each of the generator; a step of the run is one of the discriminator.
        width, blocks: of the generator. norm: of the generator. residual: it adds to its source, and starts as the
            identity: for classes that are mostly alike.
        critic_width: of the discriminator. levels: of the discriminator; by default as many as bring the shorter side
            down to 2 or 3 pixels.
    """

    name: Literal["star_gan"] = "star_gan"
    lambda_class: NonNegativeFloat = 1.0
    lambda_cycle: NonNegativeFloat = 10.0
    lambda_penalty: PositiveFloat = 10.0
    num_critic: PositiveInt = 5
    width: PositiveInt = 64
    blocks: NonNegativeInt = 6
    norm: NormName = "instance"
    residual: bool = False
    critic_width: PositiveInt = 64
    levels: PositiveInt | None = None


def star_gan(config: StarGANConfig, shape: Shape) -> System:
    """The discriminator at every step, then, at each `num_critic`-th, the generator.

    Both ask each picture for the same class, or the same attributes: those of another picture of the batch.

    Raises:
        Fault: the target is no image, or sides that the levels cannot halve.
    """
    levels = config.levels or max(2, min(shape.target.height_width).bit_length() - 2)
    require_pictures("star_gan", shape, max(2, levels))
    loss = ADVERSARIAL["wasserstein"]
    weight = GradientPenaltyConfig(weight=config.lambda_penalty)
    channels, classes, exclusive = shape.target.channels, len(shape.condition.classes), shape.condition.exclusive

    def translate(network: nn.Module, source: Tensor, condition: Tensor) -> Tensor:
        return output(shape.target, network(source, condition))

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        real, discriminator = batch["source"], networks["discriminator"]
        asked = batch["asked"] = exchanged_over_ranks(batch["condition"], batch["seeds"])
        with torch.no_grad():
            fake = translate(networks["generator"], real, asked)
        told, kind = discriminator(real)
        terms = loss.discriminator(batch, discriminator(fake)[0], told, share=1.0)
        terms["class"] = config.lambda_class * class_loss(kind, batch["condition"], exclusive)
        terms["penalty"] = penalty(weight, lambda pictures: discriminator(pictures)[0], real, fake, batch["seeds"] + 1)
        return terms

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        source, asked, generator = batch["source"], batch["asked"], networks["generator"]
        fake = translate(generator, source, asked)
        told, kind = networks["discriminator"](fake)
        home = translate(generator, fake, batch["condition"])
        return {
            "adversarial": loss.generator(told),
            "class_fake": config.lambda_class * class_loss(kind, asked, exclusive),
            "cycle": config.lambda_cycle * F.l1_loss(home, source),
        }

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        source, shown = batch["source"], batch["condition"]
        asked = exchanged(shown, batch["seeds"])
        fake = translate(networks["generator"], source, asked)
        home = translate(networks["generator"], fake, shown)
        return {"distance": distance_by_class(fake, asked, source, shown, exclusive), "cycle": F.l1_loss(home, source)}

    def run(network: nn.Module, given: Given) -> Tensor:
        assert given.source is not None
        assert given.condition is not None
        return translate(network, given.source, given.condition)

    generator = StarGenerator(channels, classes, config.width, config.blocks, config.norm, config.residual)
    discriminator = StarDiscriminator(channels, classes, shape.target.height_width, config.critic_width, levels)
    return System(
        networks=nn.ModuleDict({"generator": generator, "discriminator": discriminator}),
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), generator_terms, every=config.num_critic),
        ),
        uses={"generator": Use("generator", run, needs=config.needs)},
        validation=validation,
        averaged=("generator",),
        published=Published(learning_rate=1e-4, betas=(0.5, 0.999)),
    )
