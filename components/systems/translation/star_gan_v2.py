"""StarGAN v2: one translator between all categories of a domain, with many styles in each (Choi et al. 2020,
arXiv:1912.01865)."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks import across_ranks
from components.networks.layers import init_he
from components.networks.noise import latents
from components.networks.star_gan_v2 import Mapping, StyledGenerator, Trunk
from components.objectives.adversarial import ADVERSARIAL
from components.objectives.penalties import R1Config, penalty
from components.systems.moment import Course
from components.systems.system import Batch, Given, Moment, Phase, Published, Shape, System, Terms, Use
from components.systems.translation.within import (
    WithinSection,
    distance_by_class,
    exchanged,
    others,
    partners,
    require_pictures,
)

WEIGHT = "diversity"  # the buffer that holds what the diversity of this step weighs
_PIXELS = 2**14  # width times side of the first convolution, as published
_REST = 4  # pixels that encoder and discriminator halve the shorter side down to
_DEEPEST = 16  # pixels that the generator does


class StarGANv2Config(WithinSection):
    """The defaults are the paper's for faces of animals (configs/papers/star_gan_v2.yaml).

    Attributes:
        lambda_style: weight of |style - E(made)|. lambda_diversity: of |made - made in another style|, which is made
            large; it falls evenly to 0 over `diversity_share` of the run. lambda_cycle: of |G(made, E(source)) -
            source|.
        lambda_r1: of the penalty on real pictures, which is halved.
        latent, style: values of each.
        width: channels at the full size, doubled by each halving up to `most`; null: 2^14 / side, as published.
        levels: halvings of the generator; null: as many as bring the shorter side down to 16 pixels, 1 at least.
        hidden: width of the mapping network.
    """

    exclusive: ClassVar[bool] = True
    name: Literal["star_gan_v2"] = "star_gan_v2"
    lambda_style: NonNegativeFloat = 1.0
    lambda_diversity: NonNegativeFloat = 2.0
    diversity_share: float = Field(default=1.0, gt=0, le=1)
    lambda_cycle: NonNegativeFloat = 1.0
    lambda_r1: NonNegativeFloat = 1.0
    latent: PositiveInt = 16
    style: PositiveInt = 64
    width: PositiveInt | None = None
    most: PositiveInt = 512
    levels: PositiveInt | None = None
    hidden: PositiveInt = 512

    @property
    def paced(self) -> bool:
        """The weight of the diversity falls over a share of the run."""
        return True


def star_gan_v2(config: StarGANv2Config, shape: Shape) -> System:
    """The discriminator on fakes in a latent's style and on those in a reference's; then the generator, mapping network
    and style encoder by the first, and the generator alone by the second.

    All four phases of a step ask each picture for the same class, that of another picture of the batch. This other is
    its reference, and a third one of the class, where the batch has it, is the second reference.

    Raises:
        Fault: the target is no image, or sides that the levels cannot halve.
    """
    networks = make_networks(config, shape)
    loss = ADVERSARIAL["vanilla"]

    def by_latent(networks: nn.ModuleDict, batch: Batch, second: bool = False) -> Tensor:
        latent = latents(batch["seeds"], config.latent, batch["source"].device, draw=int(second))
        style: Tensor = networks["mapping"](latent, batch["asked"])
        return style

    def by_reference(networks: nn.ModuleDict, batch: Batch, second: bool = False) -> Tensor:
        with torch.no_grad():  # the encoder learns with the latents alone
            style: Tensor = networks["encoder"](batch["reference_2" if second else "reference"], batch["asked"])
        return style

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment, style_of: StyleOf) -> Terms:
        source, shown, discriminator = batch["source"], batch["condition"], networks["discriminator"]
        if "asked" not in batch:
            batch |= draw_references(batch)
        with torch.no_grad():
            fake = networks["generator"](source, style_of(networks, batch, False))
        told = discriminator(fake, batch["asked"]), discriminator(source, shown)
        terms = loss.discriminator(batch, *told, share=1.0)
        if config.lambda_r1:
            weight = R1Config(weight=config.lambda_r1)
            critic = lambda pictures: discriminator(pictures, shown)  # noqa: E731
            terms["penalty"] = penalty(weight, critic, source, fake, batch["seeds"])
        return terms

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment, style_of: StyleOf) -> Terms:
        source, asked, generator = batch["source"], batch["asked"], networks["generator"]
        style = style_of(networks, batch, False)
        fake = generator(source, style)
        read = networks["encoder"](fake, asked)
        own = networks["encoder"](source, batch["condition"])
        terms = {
            "adversarial": loss.generator(networks["discriminator"](fake, asked)),
            "style": config.lambda_style * F.l1_loss(read, style),
            "cycle": config.lambda_cycle * F.l1_loss(generator(fake, own), source),
        }
        if config.lambda_diversity:
            with torch.no_grad():
                other = generator(source, style_of(networks, batch, True))
            terms["diversity"] = -networks["mapping"].get_buffer(WEIGHT) * F.l1_loss(fake, other)
        return terms

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        source, shown = batch["source"], batch["condition"]
        asked = exchanged(shown, batch["seeds"])
        style = by_latent(networks, batch | {"asked": asked})
        fake = networks["generator"](source, style)
        read = networks["encoder"](fake, asked)
        return {"distance": distance_by_class(fake, asked, source, shown, True), "style": F.l1_loss(read, style)}

    def phase(name: str, learns: tuple[str, ...], terms: WithStyle, style_of: StyleOf, optimizer: str) -> Phase:
        return Phase(
            name, learns, lambda networks, batch, now: terms(networks, batch, now, style_of), optimizer=optimizer
        )

    def begin(networks: nn.ModuleDict, moment: Moment) -> None:
        networks["mapping"].get_buffer(WEIGHT).fill_(diversity_weight(config, moment))

    makers = ("generator", "mapping", "encoder")
    return System(
        networks=networks,
        phases=(
            phase("discriminator", ("discriminator",), discriminator_terms, by_latent, "discriminator"),
            phase("discriminator_reference", ("discriminator",), discriminator_terms, by_reference, "discriminator"),
            phase("generator", makers, generator_terms, by_latent, "generator"),
            phase("generator_reference", ("generator",), generator_terms, by_reference, "generator"),
        ),
        uses=_uses(config),
        validation=validation,
        averaged=makers,
        course=Course(begin=begin),
        published=Published(learning_rate=1e-4, betas=(0.0, 0.99), weight_decay=1e-4, rates={"mapping": 1e-6}),
    )


StyleOf = Callable[[nn.ModuleDict, Batch, bool], Tensor]
WithStyle = Callable[[nn.ModuleDict, Batch, Moment, StyleOf], Terms]


def make_networks(config: StarGANv2Config, shape: Shape) -> nn.ModuleDict:
    """The paper's G, F, E and D, freshly initialised.

    Raises:
        Fault: as `star_gan_v2`.
    """
    side = min(shape.target.height_width)
    levels = config.levels or max(1, (side // _DEEPEST).bit_length() - 1)
    halvings = max(1, (side // _REST).bit_length() - 1)
    require_pictures("star_gan_v2", shape, max(levels, halvings))
    if side < 2 * 2**levels:
        raise Fault(f"system.levels {levels}: {side} pixels are halved to less than 2, which have no norm; take fewer")
    first = config.width or max(1, _PIXELS // side)
    widths = [min(first * 2**level, max(first, config.most)) for level in range(max(levels, halvings) + 1)]
    channels, classes = shape.target.channels, len(shape.condition.classes)
    deep = tuple(widths[: halvings + 1])
    networks = {
        "generator": StyledGenerator(channels, config.style, tuple(widths[: levels + 1])),
        "mapping": Mapping(config.latent, config.style, classes, config.hidden),
        "encoder": Trunk(channels, config.style, classes, shape.target.height_width, deep),
        "discriminator": Trunk(channels, 1, classes, shape.target.height_width, deep),
    }
    networks["mapping"].register_buffer(WEIGHT, torch.zeros(()), persistent=False)
    return nn.ModuleDict({name: init_he(network, normal=True) for name, network in networks.items()})


def diversity_weight(config: StarGANv2Config, moment: Moment) -> float:
    """What the diversity of a step weighs: it falls evenly from `lambda_diversity` to 0."""
    return config.lambda_diversity * max(0.0, 1 - moment.step / (config.diversity_share * moment.steps))


@torch.no_grad()
def draw_references(batch: Batch) -> Batch:
    """What each picture of this rank is to become: `asked`, `reference` and `reference_2`, out of all ranks' batch."""
    shown, seeds = across_ranks.gather(batch["condition"]), across_ranks.gather(batch["seeds"])
    pictures = across_ranks.gather(batch["source"])
    first = partners(seeds)
    second = across_ranks.own(others(seeds, shown, first))
    first = across_ranks.own(first)
    return {"asked": shown[first], "reference": pictures[first], "reference_2": pictures[second]}


def _uses(config: StarGANv2Config) -> dict[str, Use]:
    """In the style of a latent, and in that of another picture."""

    def by_latent(networks: nn.Module, given: Given) -> Tensor:
        assert isinstance(networks, nn.ModuleDict)
        assert given.source is not None
        latent = latents(given.seeds, config.latent, given.source.device)
        made: Tensor = networks["generator"](given.source, networks["mapping"](latent, given.condition))
        return made

    def by_reference(networks: nn.Module, given: Given) -> Tensor:
        assert isinstance(networks, nn.ModuleDict)
        made: Tensor = networks["generator"](given.source, networks["encoder"](given.reference, given.condition))
        return made

    return {
        "latent": Use("generator", by_latent, config.needs, beside=("mapping",)),
        "reference": Use("generator", by_reference, config.needs | {"reference"}, beside=("encoder",)),
    }
