"""SimGAN: pictures refined to look real while they keep what they show (Shrivastava et al. 2017,
arXiv:1612.07828), as the authors of CycleGAN compare with it."""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.patchgan import PatchSize
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.objectives.history import History
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.systems.parts import GeneratorConfig, PatchGANConfig, ResNetConfig, make_generator, make_patchgan
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Use, of_source, output


class RefinerSection(SystemSection):
    """What SimGAN and its variant have in common; the defaults are CycleGAN's networks and details, which its
    authors give to these baselines (section 5.1). The first paper's loss is vanilla.

    Attributes:
        patch_size: pixels that a logit of the local adversarial loss sees.
        history_size: past fakes, of which half of each discriminator batch is drawn.
    """

    paired: ClassVar[bool] = False
    adversarial: AdversarialName = "lsgan"
    patch_size: PatchSize = 70
    history_size: NonNegativeInt = 50
    generator: GeneratorConfig = Field(default_factory=ResNetConfig)
    discriminator: PatchGANConfig = Field(default_factory=lambda: PatchGANConfig(norm="instance"))


class SimGANConfig(RefinerSection):
    """SimGAN.

    Attributes:
        lambda_self: weight of |G(source) - source|, a mean over the values. CycleGAN's authors do not say theirs.
    """

    name: Literal["simgan"] = "simgan"
    lambda_self: NonNegativeFloat = 10.0


def simgan(config: SimGANConfig, shape: Shape) -> System:
    """A refiner that stays near its source in colour.

    Raises:
        Fault: source and target differ in their channels.
    """
    if shape.source.channels != shape.target.channels:
        raise Fault(
            "system simgan compares source and target value by value, and they differ in their channels; "
            "set train.labels to colour"
        )
    return refiner(config, shape, "self", config.lambda_self, F.l1_loss)


def refiner(
    config: RefinerSection, shape: Shape, name: str, weight: float, distance: Callable[[Tensor, Tensor], Tensor]
) -> System:
    """Generator (the paper's refiner), then discriminator, in one direction; the discriminator's loss is halved.

    Args:
        name, weight, distance: of the term that keeps a fake near its source; distance(fake, source) is a scalar.
    """
    loss = ADVERSARIAL[config.adversarial]
    history = History(config.history_size)

    def translate(network: nn.Module, source: Tensor, seeds: Tensor) -> Tensor:
        return output(shape.target, network(source, seeds))

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = translate(networks["generator"], batch["source"], batch["seeds"])
        batch["fake"] = fake.detach()
        adversarial = loss.generator(networks["discriminator"](fake))
        return {"adversarial": adversarial, name: weight * distance(fake, batch["source"])}

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        discriminator = networks["discriminator"]
        fake, real = discriminator(history.draw(batch["fake"])), discriminator(batch["target"])
        return loss.discriminator(batch, fake, real)

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        fake = translate(networks["generator"], batch["source"], batch["seeds"])
        return {"distance": sliced_wasserstein(fake, batch["target"]), name: distance(fake, batch["source"])}

    generator = make_generator(config.generator, shape.source, shape.target)
    discriminator = make_patchgan(config.discriminator, shape.target.channels, config.patch_size)
    return System(
        networks=nn.ModuleDict({"generator": generator, "discriminator": discriminator}),
        phases=(
            Phase("generator", ("generator",), generator_terms),
            Phase("discriminator", ("discriminator",), discriminator_terms),
        ),
        uses={"forward": Use("generator", of_source(translate))},
        validation=validation,
        averaged=("generator",),
        memories={"history": history},
    )
