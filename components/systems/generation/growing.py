"""Systems that grow: a generator and a discriminator that begin with small pictures and fade larger ones in, as a
function of the images that were seen (Karras et al. 2018, arXiv:1710.10196, section 2)."""

import math
from collections.abc import Callable

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.growing import SMALLEST, Growing, level_of, shown_at
from components.objectives.adversarial import ADVERSARIAL, SEEN, AdversarialName
from components.objectives.penalties import PenaltyConfig, penalty
from components.samples.domain import Domain
from components.samples.schema import Section
from components.systems.generation.from_noise import NoiseSection
from components.systems.moment import Course
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms, Use

# Pictures of a level, (N, C, S, S) after their activation: of the generator, seeds, level and alpha.
Make = Callable[[Growing, Tensor, int, Tensor | None], Tensor]


class GrowthConfig(Section):
    """When each level comes.

    Attributes:
        start: side of the first pictures, a power of two.
        steady: images of each level alone, but for the last, which stays to the end.
        fade: images in the course of which a further level is faded in.
        rates: factors of the learning rate, each from a side on.
    """

    start: int = Field(default=SMALLEST, ge=SMALLEST)
    steady: PositiveInt = 600_000
    fade: PositiveInt = 600_000
    rates: dict[PositiveInt, PositiveFloat] = Field(default_factory=dict)

    def grown(self, images: int, levels: int) -> float:
        """How far a network has grown after so many images: see `Growing.grown`."""
        whole, rest = divmod(images, self.steady + self.fade)
        faded = max(0, rest - self.steady) / self.fade
        return min(float(levels), level_of(self.start) + whole + faded)

    def images(self, levels: int) -> int:
        """After how many the last level is alone."""
        return (levels - level_of(self.start)) * (self.steady + self.fade)

    def rate(self, level: int) -> float:
        """The factor of the learning rate at a level."""
        reached = [side for side in self.rates if side <= SMALLEST * 2**level]
        return self.rates[max(reached)] if reached else 1.0


class GrowingSection(NoiseSection):
    """Params of the systems that grow; each has the defaults of its paper.

    Attributes:
        penalty: on the discriminator's gradient by the pictures; null: none.
        lambda_drift: weight of the squares of the discriminator's values of real pictures.
        group: over how many pictures the deviation is taken that the discriminator sees; null: over the whole batch.
        width: channels of up to 32 pixels, halved at each doubling above.
    """

    latent: PositiveInt = 512
    growth: GrowthConfig = GrowthConfig()
    adversarial: AdversarialName
    penalty: PenaltyConfig | None
    lambda_drift: NonNegativeFloat = 0.0
    group: PositiveInt | None = 4
    width: PositiveInt = 512

    def require_batch(self, per_rank: int, ranks: int) -> None:
        """Each group of the discriminator's deviation is as large as every other."""
        together = per_rank * ranks
        if self.group is not None and together > self.group and together % self.group:
            raise Fault(
                f"system.group {self.group} does not divide train.batch_size {together}; make it a multiple of it, or "
                "set system.group to null"
            )


def levels_of(config: GrowingSection, name: str, shape: Shape) -> int:
    """Doublings from 4 pixels to the pictures' side.

    Raises:
        Fault: pictures that are not square or of no power of two, or smaller than those that the growth starts with.
    """
    if shape.target.kind == "point":
        raise Fault(
            f"system {name} has networks for pictures alone, and the target is points; dcgan and gan make points"
        )
    height, width = shape.target.height_width
    if height != width or height & (height - 1) or height < 2 * SMALLEST:
        raise Fault(
            f"system {name} doubles the sides of square pictures: they must be 8, 16, 32 and so on, not "
            f"{height}x{width}; set another shard.cut.image_size"
        )
    start = config.growth.start
    if start & (start - 1) or start > height:
        raise Fault(f"system.growth.start {start}: the first side is a power of two from 4 to the pictures' {height}")
    return level_of(height)


def linear(domain: Domain, x: Tensor) -> Tensor:
    """The output activation: none of what is seen in colour, else probabilities of the classes."""
    return x if domain.in_colour else torch.softmax(x, dim=1)


def growing(
    config: GrowingSection,
    levels: int,
    networks: tuple[Growing, nn.Module],
    make: Make,
    use: Use,
    validation: Callable[[nn.ModuleDict, Batch], Terms],
    published: Published,
) -> System:
    """Discriminator, then generator, each at every step, of the same fakes, at the size that the moment says.

    Parameters of levels that are not reached yet get no gradient; the optimizers begin anew when a fade begins and when
    it ends, as in the authors' code. What is logged as `grown` is `Growing.grown`.
    """
    loss = ADVERSARIAL[config.adversarial]

    def grown(moment: Moment) -> float:
        return config.growth.grown(moment.images, levels)

    def stage(moment: Moment) -> tuple[int, ...]:
        level = math.ceil(grown(moment))
        return level, int(level != grown(moment))

    def begin(networks: nn.ModuleDict, moment: Moment) -> None:
        _generator(networks).grow(grown(moment))

    def rate(moment: Moment) -> float:
        return config.growth.rate(math.ceil(grown(moment)))

    def ends(moment: Moment) -> tuple[str, ...]:
        if grown(moment) == levels:
            return ()
        side, whole = SMALLEST * 2 ** math.floor(grown(moment)), SMALLEST * 2**levels
        return (
            f"system.growth: {whole} pixels are reached after {config.growth.images(levels):,} images, and the run has "
            f"{moment.images:,}: it ends with the detail of {side} pixels; raise train.steps, or lower steady and fade",
        )

    def seen(networks: nn.ModuleDict, moment: Moment) -> tuple[int, Tensor | None]:
        level, fades = moment.stage
        return level, _generator(networks).alpha() if fades else None

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, moment: Moment) -> Terms:
        level, alpha = seen(networks, moment)
        fake = batch["fake"] = make(_generator(networks), batch["seeds"], level, alpha)
        real = shown_at(batch["target"], level, alpha)

        def judge(pictures: Tensor) -> Tensor:
            return networks["discriminator"](pictures, level, alpha)

        fakes, reals = judge(fake.detach()), judge(real)
        terms = loss.discriminator(batch, fakes, reals, share=1.0)
        if config.penalty is not None:
            terms["penalty"] = penalty(config.penalty, judge, real, fake, batch["seeds"] + 2)
        if config.lambda_drift:
            terms["drift"] = config.lambda_drift * reals.float().square().mean()
        batch[f"{SEEN}grown"] = _generator(networks).grown.clone()
        return terms

    def generator_terms(networks: nn.ModuleDict, batch: Batch, moment: Moment) -> Terms:
        return {"adversarial": loss.generator(networks["discriminator"](batch["fake"], *seen(networks, moment)))}

    return System(
        networks=nn.ModuleDict(dict(zip(("generator", "discriminator"), networks, strict=True))),
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms, partial=True),
            Phase("generator", ("generator",), generator_terms, partial=True),
        ),
        uses={"generator": use},
        validation=validation,
        averaged=("generator",),
        published=published,
        course=Course(stage, begin, rate, ends),
    )


def _generator(networks: nn.ModuleDict) -> Growing:
    generator = networks["generator"]
    assert isinstance(generator, Growing)
    return generator
