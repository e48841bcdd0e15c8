"""BiGAN/ALI between two sets of pictures (Donahue et al. 2017, arXiv:1605.09782; Dumoulin et al. 2017,
arXiv:1606.00704), as the authors of CycleGAN compare with it."""

from typing import ClassVar, Literal

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from components.networks.patchgan import PatchSize
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.objectives.replay_pool import ReplayPool
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.systems.parts import GeneratorConfig, PatchGANConfig, ResNetConfig, make_patchgan
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms
from components.systems.translation.two_ways import TwoWays


class BiGANConfig(SystemSection):
    """The defaults are CycleGAN's networks and details, which its authors give to this baseline (section 5.1).

    Attributes:
        pool_size: past pairs kept of each kind.
    """

    paired: ClassVar[bool] = False
    name: Literal["bigan"] = "bigan"
    adversarial: AdversarialName = "lsgan"
    patch_size: PatchSize = 70
    pool_size: NonNegativeInt = 50
    generator: GeneratorConfig = Field(default_factory=ResNetConfig)
    discriminator: PatchGANConfig = Field(default_factory=lambda: PatchGANConfig(norm="instance"))


def bigan(config: BiGANConfig, shape: Shape) -> System:
    """Generators, then one discriminator, which tells (source, G(source)) from (F(target), target).

    The papers' latent is here the source: their generator from it is `generator` (G), their encoder is
    `generator_back` (F), and a pair with a real target counts as real. Each generator learns that its pairs be
    taken for the other's. Nothing else ties a picture to its translation: there is no cycle.
    """
    loss = ADVERSARIAL[config.adversarial]
    ways = TwoWays(shape)
    pools = {"pair": ReplayPool(config.pool_size, seed=0), "pair_back": ReplayPool(config.pool_size, seed=1)}

    def pairs(networks: nn.ModuleDict, batch: Batch) -> tuple[Tensor, Tensor]:
        source, target, seeds = batch["source"], batch["target"], batch["seeds"]
        fake = ways.forward(networks["generator"], source, seeds)
        fake_back = ways.backward(networks["generator_back"], target, seeds)
        return torch.cat([source, fake], dim=1), torch.cat([fake_back, target], dim=1)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        pair, pair_back = pairs(networks, batch)
        batch["pair"], batch["pair_back"] = pair.detach(), pair_back.detach()
        return {
            "adversarial": loss.generator(networks["discriminator"](pair)),
            "adversarial_back": loss.fake(networks["discriminator"](pair_back)),
        }

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        discriminator = networks["discriminator"]
        fake, real = (discriminator(memory.draw(batch[name])) for name, memory in pools.items())
        return loss.discriminator(batch, fake, real)

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        pair, pair_back = pairs(networks, batch)
        cut = shape.source.channels
        there = sliced_wasserstein(pair[:, cut:], batch["target"])
        back = sliced_wasserstein(pair_back[:, :cut], batch["source"])
        return {"distance": 0.5 * (there + back)}

    generators = ways.generators(config.generator)
    seen = shape.source.channels + shape.target.channels
    discriminator = make_patchgan(config.discriminator, seen, config.patch_size)
    return System(
        networks=nn.ModuleDict(generators | {"discriminator": discriminator}),
        phases=(
            Phase("generators", tuple(generators), generator_terms),
            Phase("discriminator", ("discriminator",), discriminator_terms),
        ),
        uses=ways.uses,
        validation=validation,
        averaged=tuple(generators),
        memories={"pool": pools["pair"], "pool_back": pools["pair_back"]},
    )
