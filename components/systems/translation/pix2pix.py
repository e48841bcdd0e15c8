"""pix2pix: a conditional GAN with an L1 term over aligned pairs (Isola et al. 2017, arXiv:1611.07004)."""

from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, model_validator
from torch import Tensor, nn

from components.networks.patchgan import PatchSize
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.systems.parts import GeneratorConfig, PatchGANConfig, UNetConfig, make_generator, make_patchgan
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Use, of_source, output


class Pix2PixConfig(SystemSection):
    """The defaults are the paper's (configs/papers/pix2pix.yaml).

    The paper's five objectives are params: L1 is `lambda_adversarial` 0, which leaves out the discriminator
    and its phase; cGAN is `lambda_l1` 0; L1+cGAN has both; GAN and L1+GAN are these with `conditional` false.
    """

    name: Literal["pix2pix"] = "pix2pix"
    lambda_l1: NonNegativeFloat = 100.0
    lambda_adversarial: NonNegativeFloat = 1.0
    patch_size: PatchSize = 70
    adversarial: AdversarialName = "vanilla"
    conditional: bool = True
    generator: GeneratorConfig = Field(default_factory=UNetConfig)
    discriminator: PatchGANConfig = Field(default_factory=PatchGANConfig)

    @model_validator(mode="after")
    def _learns_from_something(self) -> Self:
        if not (self.lambda_l1 or self.lambda_adversarial):
            raise ValueError("lambda_l1 and lambda_adversarial are both 0: there is nothing to learn from")
        return self


def pix2pix(config: Pix2PixConfig, shape: Shape) -> System:
    """Discriminator, then generator, as the authors step; the fake of a step is made once.

    The discriminator sees the source beside the picture (cGAN) or, with `conditional: false`, the
    picture alone; its loss is halved. A term whose weight is 0 is not computed, and with `lambda_adversarial`
    0 there is no discriminator.
    """
    loss = ADVERSARIAL[config.adversarial]
    networks = nn.ModuleDict({"generator": make_generator(config.generator, shape.source, shape.target)})
    if config.lambda_adversarial:
        seen = shape.target.channels + (shape.source.channels if config.conditional else 0)
        networks["discriminator"] = make_patchgan(config.discriminator, seen, config.patch_size)

    def translate(network: nn.Module, source: Tensor, seeds: Tensor) -> Tensor:
        return output(shape.target, network(source, seeds))

    def judge(networks: nn.ModuleDict, batch: Batch, picture: Tensor) -> Tensor:
        pair = torch.cat([batch["source"], picture], dim=1) if config.conditional else picture
        logits: Tensor = networks["discriminator"](pair)
        return logits

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        batch["fake"] = translate(networks["generator"], batch["source"], batch["seeds"])
        fake = judge(networks, batch, batch["fake"].detach())
        real = judge(networks, batch, batch["target"])
        return loss.discriminator(batch, fake, real)

    def adversarial_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = batch["fake"]  # with the graph of the discriminator's phase: the generator has not moved since
        terms = {"adversarial": config.lambda_adversarial * loss.generator(judge(networks, batch, fake))}
        if config.lambda_l1:
            terms["l1"] = config.lambda_l1 * F.l1_loss(fake, batch["target"])
        return terms

    def l1_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = translate(networks["generator"], batch["source"], batch["seeds"])
        return {"l1": config.lambda_l1 * F.l1_loss(fake, batch["target"])}

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        fake = translate(networks["generator"], batch["source"], batch["seeds"])
        return {"l1": F.l1_loss(fake, batch["target"])}

    phases: tuple[Phase, ...] = (Phase("generator", ("generator",), l1_terms),)
    if config.lambda_adversarial:
        phases = (
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), adversarial_terms),
        )
    return System(
        networks=networks,
        phases=phases,
        uses={"generator": Use("generator", of_source(translate))},
        validation=validation,
        averaged=("generator",),
        notes=_notes(config, shape),
    )


def _notes(config: Pix2PixConfig, shape: Shape) -> tuple[str, ...]:
    height, width = shape.target.height_width
    if not config.lambda_adversarial or config.patch_size <= max(height, width):
        return ()
    return (
        f"system.patch_size {config.patch_size} is larger than the {height}x{width} picture"
        ": the discriminator sees it whole",
    )
