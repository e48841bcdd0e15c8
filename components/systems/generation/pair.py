"""A generator of pictures from noise against a discriminator: loss, penalty, norm and critic steps as params."""

from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import nn

from components.networks.layers import spectrally_normalised
from components.objectives.adversarial import Adversarial, AdversarialName, Relativistic, one_sided
from components.objectives.penalties import PenaltyConfig, penalty
from components.systems.generation.from_noise import FromNoise
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms
from components.systems.tricks import COMPARED, FAKES, MADE, PENALISED, REALS, Tricks, TricksSection

PairLossName = AdversarialName | Literal["relativistic"]


class PairSection(TricksSection):
    """Params of every generator and discriminator from noise; each system has the defaults of its paper.

    Attributes:
        adversarial: vanilla is Goodfellow's non-saturating loss, minimax the one that he derives it from.
        real_label: what the discriminator wants of real pictures, where the loss has labels; 0.9 is usual smoothing.
        penalty: on the discriminator's gradient by the pictures; null: none.
        spectral: whether each weight of the discriminator is divided by its spectral norm (Miyato et al. 2018,
            arXiv:1802.05957).
        num_critic: steps of the discriminator for each of the generator; a step of the run is one of the discriminator.
    """

    adversarial: PairLossName = "vanilla"
    real_label: float = Field(default=1.0, gt=0, le=1)
    penalty: PenaltyConfig | None = None
    spectral: bool = False
    num_critic: PositiveInt = 1

    @model_validator(mode="after")
    def _loss_takes_the_label(self) -> Self:
        self.loss()
        return self

    def loss(self) -> Adversarial | Relativistic:
        """The loss that the params name.

        Raises:
            ValueError: a label that the loss does not have.
        """
        if self.adversarial != "relativistic":
            return one_sided(self.adversarial, self.real_label)
        if self.real_label != 1:
            raise ValueError("real_label goes with adversarial vanilla, minimax or lsgan; relativistic has no labels")
        return Relativistic()


def pair(
    config: PairSection,
    shape: Shape,
    generator: nn.Module,
    discriminator: nn.Module,
    published: Published,
    after: Callable[[nn.ModuleDict], None] | None = None,
) -> System:
    """The system of two initialised networks.

    Args:
        generator: latents (N, latent), and a condition where the task has one, to pictures before their activation.
        discriminator: pictures (N, C, H, W), and a condition likewise, to logits (N, 1).
        after: called with the networks after each step of the discriminator, such as for clipping its weights.
    """
    if config.spectral:
        discriminator = spectrally_normalised(discriminator)
    noise, tricks = FromNoise(shape, config), Tricks(config, shape.target)
    return noise.system(
        networks={"generator": generator, "discriminator": discriminator},
        phases=_phases(config, noise, tricks, after),
        memories=tricks.memories,
        published=published,
    )


def _phases(
    config: PairSection, noise: FromNoise, tricks: Tricks, after: Callable[[nn.ModuleDict], None] | None
) -> tuple[Phase, Phase]:
    """The two phases of a step; real and fake pictures are always two batches.

    With one step of each, the discriminator's is first, and the generator learns from the very fakes that it has seen.
    With more of the discriminator, the generator's is first, as in WGAN-GP's code, and each has its own fakes.
    """
    loss, one_of_each = config.loss(), config.num_critic == 1

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        with torch.set_grad_enabled(one_of_each):
            fake = batch["fake"] = noise.draw(networks["generator"], batch["seeds"], batch.get("condition"))
        shown, condition = tricks.shown(fake, batch.get("condition"))
        fakes = tricks.judge(networks, batch, FAKES, condition)(shown)
        reals = tricks.judge(networks, batch, REALS)(batch["target"])
        if isinstance(loss, Relativistic):
            terms = loss.discriminator(batch, fakes, reals)
        else:
            terms = loss.discriminator(batch, fakes, reals, share=1.0)
        if config.penalty is not None:
            judge = tricks.judge(networks, batch, PENALISED)
            seeds = batch["seeds"] + 2  # not those of any latent of this step
            terms["penalty"] = penalty(config.penalty, judge, batch["target"], fake, seeds)
        return terms | tricks.historical(networks, "discriminator")

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        if one_of_each:
            fake = batch["fake"]
        else:
            fake = noise.draw(networks["generator"], batch["seeds"], batch.get("condition"), draw=1)
        judged = tricks.judge(networks, batch, MADE)(fake)
        if isinstance(loss, Relativistic):
            with torch.no_grad():
                reals = tricks.judge(networks, batch, COMPARED)(batch["target"])
            terms = {"adversarial": loss.generator(judged, reals)}
        else:
            terms = {"adversarial": loss.generator(judged)}
        return terms | tricks.historical(networks, "generator")

    first = Phase("discriminator", ("discriminator",), discriminator_terms, after=after)
    second = Phase("generator", ("generator",), generator_terms, every=config.num_critic)
    return (first, second) if one_of_each else (second, first)
