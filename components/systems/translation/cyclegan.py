"""CycleGAN: two translators without pairs, each the other's inverse (Zhu et al. 2017, arXiv:1703.10593)."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt
from torch import nn

from components.faults import Fault
from components.networks.patchgan import PatchSize
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.objectives.replay_pool import ReplayPool
from components.systems.parts import GeneratorConfig, PatchGANConfig, ResNetConfig
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms
from components.systems.translation.two_ways import TwoWays


class CycleGANConfig(SystemSection):
    """The defaults are the paper's (configs/papers/cyclegan.yaml).

    Attributes:
        lambda_cycle: weight of |F(G(source)) - source|. lambda_cycle_back: of |G(F(target)) - target|.
        lambda_identity: of |G(target) - target| and |F(source) - source|, as a share of the cycle weights:
            0.5 in the authors' PyTorch release, 0 in their first one (Lua).
        pool_size: past fakes kept for each discriminator.
    """

    paired: ClassVar[bool] = False
    name: Literal["cyclegan"] = "cyclegan"
    lambda_cycle: NonNegativeFloat = 10.0
    lambda_cycle_back: NonNegativeFloat = 10.0
    lambda_identity: NonNegativeFloat = 0.5
    adversarial: AdversarialName = "lsgan"
    patch_size: PatchSize = 70
    pool_size: NonNegativeInt = 50
    generator: GeneratorConfig = Field(default_factory=ResNetConfig)
    discriminator: PatchGANConfig = Field(default_factory=lambda: PatchGANConfig(norm="instance"))


def cyclegan(config: CycleGANConfig, shape: Shape) -> System:
    """Generators, then discriminators, as the authors step, each pair with one optimizer.

    The paper's G and D_Y are `generator` and `discriminator` (of the target), its F and D_X `generator_back`
    and `discriminator_back`. A discriminator's loss is halved.

    Raises:
        Fault: the identity loss between domains of unequal channels.
    """
    if config.lambda_identity and shape.source.channels != shape.target.channels:
        raise Fault(
            "system.lambda_identity: source and target differ in their channels; set train.labels to colour, "
            "or lambda_identity to 0"
        )
    loss = ADVERSARIAL[config.adversarial]
    pool, pool_back = ReplayPool(config.pool_size, seed=0), ReplayPool(config.pool_size, seed=1)
    ways = TwoWays(shape)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        source, target, seeds = batch["source"], batch["target"], batch["seeds"]
        trips = ways.round_trips(networks, batch)
        batch["fake"], batch["fake_back"] = trips.fake.detach(), trips.fake_back.detach()
        terms = {
            "adversarial": loss.generator(networks["discriminator"](trips.fake)),
            "adversarial_back": loss.generator(networks["discriminator_back"](trips.fake_back)),
            "cycle": config.lambda_cycle * F.l1_loss(trips.source, source),
            "cycle_back": config.lambda_cycle_back * F.l1_loss(trips.target, target),
        }
        if config.lambda_identity:
            same = ways.forward(networks["generator"], target, seeds)
            same_back = ways.backward(networks["generator_back"], source, seeds)
            share = config.lambda_identity
            terms["identity"] = share * config.lambda_cycle_back * F.l1_loss(same, target)
            terms["identity_back"] = share * config.lambda_cycle * F.l1_loss(same_back, source)
        return terms

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        discriminator, discriminator_back = networks["discriminator"], networks["discriminator_back"]
        fake, real = discriminator(pool.draw(batch["fake"])), discriminator(batch["target"])
        terms = loss.discriminator(batch, fake, real)
        fake, real = discriminator_back(pool_back.draw(batch["fake_back"])), discriminator_back(batch["source"])
        return terms | loss.discriminator(batch, fake, real, "_back")

    generators = ways.generators(config.generator)
    discriminators = ways.discriminators(config.discriminator, config.patch_size)
    return System(
        networks=nn.ModuleDict(generators | discriminators),
        phases=(
            Phase("generators", tuple(generators), generator_terms),
            Phase("discriminators", tuple(discriminators), discriminator_terms),
        ),
        uses=ways.uses,
        validation=ways.validation("cycle", F.l1_loss),
        averaged=tuple(generators),
        memories={"pool": pool, "pool_back": pool_back},
    )
