"""LAPGAN: a generator and discriminator for each level of a Laplacian pyramid (Denton et al. 2015,
arXiv:1506.05751)."""

from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from components.faults import Fault
from components.networks.lapgan import BaseDiscriminator, LevelDiscriminator, PyramidGenerator, Size
from components.networks.noise import latents
from components.networks.pyramid import pyramid
from components.objectives.adversarial import ADVERSARIAL
from components.systems.generation.from_noise import FromNoise, NoiseSection, Prior, refuse_points
from components.systems.system import Batch, Moment, Need, Phase, Published, Shape, System, Terms

_SMALLEST = 8  # pixels of the smallest level's shorter side, which its next level's discriminator needs twice


class LAPGANConfig(NoiseSection):
    """The defaults are the paper's for CIFAR-10.

    Attributes:
        conditional: whether pictures are of a class that is asked for; the paper has both.
        latent: values for the smallest picture; each further level has a plane of noise.
        levels: how often the sides are halved; null: as often as leaves the shorter one 8 to 15 pixels.
        base_widths, critic_widths: of the hidden layers of the smallest level's generator and discriminator.
        width: channels of the other levels' networks.
        dropout: share that the last layers of the discriminators leave out.
    """

    name: Literal["lapgan"] = "lapgan"
    conditional: bool = False
    prior: Prior = "uniform"
    levels: PositiveInt | None = None
    base_widths: tuple[PositiveInt, ...] = Field(default=(1200, 1200), min_length=1)
    critic_widths: tuple[PositiveInt, ...] = Field(default=(600, 600), min_length=1)
    width: PositiveInt = 64
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @property
    def needed(self) -> frozenset[Need]:
        """A condition, or nothing."""
        return frozenset({"condition"}) if self.conditional else frozenset()


def lapgan(config: LAPGANConfig, shape: Shape) -> System:
    """At every step each level learns by itself, discriminator, then generator from the same fakes.

    A level's fakes are made from the real pictures of the level below, so no level depends on how far another one is.
    Only in use are they a chain, from the smallest level's noise on; there every level's pictures are cut to the range
    from -1 to 1, in which real ones lie. Phases are numbered from the smallest level, 0.

    Raises:
        Fault: sides that cannot be halved as often; or a target that is not in colour.
    """
    sizes = sizes_of(config, shape)
    channels, classes = shape.target.channels, len(shape.condition.classes) if config.conditional else 0
    generator = PyramidGenerator(config.latent, channels, sizes, config.base_widths, config.width, classes)
    values = config.model_copy(update={"latent": sum(generator.parts)})
    noise = FromNoise(shape, values, activation=lambda _, pictures: pictures)  # the network has one of its own
    discriminators: list[nn.Module] = [
        BaseDiscriminator(channels, sizes[0], config.critic_widths, config.dropout, classes),
        *(LevelDiscriminator(channels, size, config.width, config.dropout, classes) for size in sizes[1:]),
    ]
    named = {f"discriminator_{level}": network for level, network in enumerate(discriminators)}
    return noise.system(
        networks={"generator": generator, **named},
        phases=tuple(phase for level in range(len(sizes)) for phase in _phases(config, len(sizes) - 1, level)),
        published=Published(optimizer="sgd", learning_rate=0.02, momentum=0.5),
    )


def _phases(config: LAPGANConfig, levels: int, level: int) -> tuple[Phase, Phase]:
    """How one level learns; `levels` is the number of the largest."""
    loss, judge, fakes = ADVERSARIAL["vanilla"], f"discriminator_{level}", f"fake_{level}"

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        generator, sizes, condition = networks["generator"], pyramid(batch["target"], levels), batch.get("condition")
        assert isinstance(generator, PyramidGenerator)
        latent = latents(batch["seeds"], sum(generator.parts), batch["target"].device, config.prior)
        if level == 0:
            fake = generator.base(generator.part(latent, 0), condition)
        else:
            fake = generator.refined(sizes[level - 1], latent, level, condition)
        batch[fakes] = fake
        judged, real = (networks[judge](pictures, condition) for pictures in (fake.detach(), sizes[level]))
        return loss.discriminator(batch, judged, real, share=1.0)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        return {"adversarial": loss.generator(networks[judge](batch[fakes], batch.get("condition")))}

    return (
        Phase(judge, (judge,), discriminator_terms),
        Phase(f"generator_{level}", ("generator",), generator_terms, partial=True),
    )


def sizes_of(config: LAPGANConfig, shape: Shape) -> list[Size]:
    """(height, width) of each level, the smallest first.

    Raises:
        Fault: naming the param.
    """
    height, width = size = shape.target.height_width
    refuse_points("lapgan", size)
    if not shape.target.in_colour:
        raise Fault("system lapgan makes pictures in colour; for label maps set train.labels: colour")
    levels = config.levels or max(1, (min(size) // _SMALLEST).bit_length() - 1)
    if min(size) < _SMALLEST * 2**levels or any(side % 2**levels for side in size):
        raise Fault(
            f"system.levels: the sides are halved {levels} times, to {_SMALLEST} pixels or more, and {height}x{width} "
            f"cannot be; set it, or another shard.cut.image_size"
        )
    return [(height // 2**level, width // 2**level) for level in reversed(range(levels + 1))]
