"""Stacked GAN: features of a class, then pictures of the features (Huang et al. 2017, arXiv:1612.04357)."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor, nn

from components.faults import Fault
from components.networks.layers import init_normal
from components.networks.noise import latents
from components.networks.stacked_gan import (
    Encoder,
    FeatureDiscriminator,
    PictureDiscriminator,
    StackedGenerator,
)
from components.objectives.adversarial import ADVERSARIAL
from components.systems.generation.from_noise import FromNoise, NoiseSection, Prior, require_levels
from components.systems.system import Batch, Moment, Need, Phase, Published, Shape, System, Terms, output

Stage = Literal["encoder", "independent", "joint"]
LEVELS = ("feature", "picture")  # the upper one and the lower one


class StackedGANConfig(NoiseSection):
    """The defaults are those of the authors' code for CIFAR-10, but for the generator's loss, which is the paper's.

    Attributes:
        encoder_share: share of the run's steps in which the encoder learns to classify; it stays as it is after them.
        independent_share: share of the steps, after those, in which each generator learns by itself, the lower one from
            the encoder's features of real pictures; in the rest it is given the upper one's.
        latent: values for the features. latent_pictures: for the pictures.
        adversarial: the generators' loss; the authors' code has minimax.
        lambda_condition: weight of how well the encoder reads back what a generator was given.
        lambda_entropy: weight of how well the latent can be recovered. The published 10 is of latents from 0 to 1;
            those from -1 to 1 have four times the squared error, and so a quarter of the weight.
        joint_share: how much of the lower generator's loss reaches the upper one in joint training.
        width: channels of the encoder's first layer; all others are multiples of it.
        noise_features, noise_pictures, dropout: of the discriminators.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"condition"})
    exclusive: ClassVar[bool] = True
    name: Literal["stacked_gan"] = "stacked_gan"
    encoder_share: float = Field(default=0.1, gt=0, lt=1)
    independent_share: float = Field(default=0.45, ge=0, lt=1)
    latent: PositiveInt = 50
    latent_pictures: PositiveInt = 16
    prior: Prior = "uniform"
    adversarial: Literal["vanilla", "minimax"] = "vanilla"
    lambda_condition: NonNegativeFloat = 1.0
    lambda_entropy: NonNegativeFloat = 2.5
    joint_share: float = Field(default=0.01, ge=0, le=1)
    width: PositiveInt = 64
    norm: Literal["batch", "sync_batch", "none"] = "batch"
    noise_features: NonNegativeFloat = 0.2
    noise_pictures: NonNegativeFloat = 0.05
    dropout: float = Field(default=0.3, ge=0, lt=1)

    @property
    def paced(self) -> bool:
        """The stages are shares of the run."""
        return True

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.encoder_share + self.independent_share > 1:
            raise ValueError("encoder_share and independent_share are shares of one run: together 1 or less")
        return self


def stacked_gan(config: StackedGANConfig, shape: Shape) -> System:
    """The encoder's steps; then, first independently and then jointly, both discriminators and both generators.

    A discriminator gives the logits of the classes, and its logit of a real picture is the logarithm of the sum of
    their exponentials (Salimans et al. 2016, arXiv:1606.03498). The authors take more steps of the generators where a
    discriminator's loss is low. That looks at a value, so here it is one step of each. Each stage has optimizers of its
    own, since the authors begin each with new moments.

    Raises:
        Fault: the task asks for no condition; or sides that the layers cannot halve.
    """
    require_levels("stacked_gan", shape.target.height_width, levels=2)
    height, width = shape.target.height_width
    if min(height, width) < 16:
        raise Fault(f"system stacked_gan needs sides of 16 or more, not {height}x{width}")
    parts = config.latent, config.latent_pictures
    noise = FromNoise(shape, config.model_copy(update={"latent": sum(parts)}))

    def encoder_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        return {"cross_entropy": F.cross_entropy(networks["encoder"](batch["target"]), batch["condition"])}

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        read = networks["encoder"](batch["target"]).argmax(dim=1)
        wrong = (read != batch["condition"].argmax(dim=1)).float().mean()
        return noise.validation(networks, batch) | {"encoder_error": wrong}

    def during(stage: Stage) -> Callable[[Moment], bool]:
        return lambda moment: stage_of(config, moment) == stage

    phases = [Phase("encoder", ("encoder",), encoder_terms, due=during("encoder"))]
    if config.independent_share:
        phases += _phases(config, shape, "independent", during("independent"))
    if config.encoder_share + config.independent_share < 1:
        phases += _phases(config, shape, "joint", during("joint"))
    published = Published(learning_rate=1e-4, betas=(0.5, 0.999))
    return replace(noise.system(_networks(config, shape, parts), phases, published), validation=validation)


def stage_of(config: StackedGANConfig, moment: Moment) -> Stage:
    """Which stage a step belongs to."""
    encoder = round(config.encoder_share * moment.steps)
    independent = round((config.encoder_share + config.independent_share) * moment.steps)
    return "encoder" if moment.step < encoder else "independent" if moment.step < independent else "joint"


def _phases(config: StackedGANConfig, shape: Shape, stage: Stage, due: Callable[[Moment], bool]) -> tuple[Phase, Phase]:
    """The discriminators and then the generators of one stage, of the same fakes."""
    loss, parts = ADVERSARIAL[config.adversarial], (config.latent, config.latent_pictures)
    judges = tuple(f"{level}_discriminator" for level in LEVELS)

    def recovery(networks: nn.ModuleDict, batch: Batch, level: str, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The logit of each fake, (N, 1), and the weighted squared error of its recovered latent."""
        logits, recovered = networks[f"{level}_discriminator"](fake)
        return _logit(logits), config.lambda_entropy * F.mse_loss(recovered.float(), batch[f"{level}_latent"])

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        generator, encoder, terms = networks["generator"], networks["encoder"], Terms()
        assert isinstance(generator, StackedGenerator)
        assert isinstance(encoder, Encoder)
        with torch.no_grad():
            features = encoder.features(batch["target"])
        drawn = latents(batch["seeds"], sum(parts), batch["target"].device, config.prior)
        batch["feature_latent"], batch["picture_latent"] = drawn.split(parts, dim=1)
        batch["feature_fake"] = generator.top(batch["condition"], batch["feature_latent"])
        given = features if stage == "independent" else passed(batch["feature_fake"], config.joint_share)
        batch["given"] = given
        batch["picture_fake"] = output(shape.target, generator.bottom(given, batch["picture_latent"]))
        for level, real in zip(LEVELS, (features, batch["target"]), strict=True):
            logit, entropy = recovery(networks, batch, level, batch[f"{level}_fake"].detach())
            classes, _latent = networks[f"{level}_discriminator"](real)
            terms |= loss.discriminator(batch, logit, _logit(classes), f"_{level}")
            terms[f"class_{level}"] = F.cross_entropy(classes, batch["condition"])
            terms[f"entropy_{level}"] = entropy
        return terms

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        encoder, terms = networks["encoder"], Terms()
        assert isinstance(encoder, Encoder)
        read = {
            "feature": F.cross_entropy(encoder.head(batch["feature_fake"]), batch["condition"]),
            "picture": F.mse_loss(encoder.features(batch["picture_fake"]), batch["given"]),
        }
        for level in LEVELS:
            logit, entropy = recovery(networks, batch, level, batch[f"{level}_fake"])
            terms[f"adversarial_{level}"] = loss.generator(logit)
            terms[f"condition_{level}"] = config.lambda_condition * read[level]
            terms[f"entropy_{level}"] = entropy
        return terms

    return (
        Phase(f"{stage}_discriminator", judges, discriminator_terms, due=due),
        Phase(f"{stage}_generator", ("generator",), generator_terms, due=due),
    )


def passed(features: Tensor, share: float) -> Tensor:
    """The same features, of whose gradient only a share goes back to where they were made."""
    return torch.lerp(features.detach(), features, share) if share != 1 else features


def _logit(classes: Tensor) -> Tensor:
    """(N, 1) of logits of the classes, (N, classes)."""
    return classes.logsumexp(dim=1, keepdim=True)


def _networks(config: StackedGANConfig, shape: Shape, parts: tuple[int, int]) -> dict[str, nn.Module]:
    """Initialised."""
    channels, size, width, norm = shape.target.channels, shape.target.height_width, config.width, config.norm
    classes, noise = len(shape.condition.classes), (config.noise_features, config.noise_pictures)
    return {
        "encoder": Encoder(channels, size, width, classes),
        "generator": init_normal(StackedGenerator(parts, channels, size, width, norm, classes)),
        "feature_discriminator": init_normal(FeatureDiscriminator(parts[0], width, norm, classes, noise[0])),
        "picture_discriminator": init_normal(
            PictureDiscriminator(parts[1], channels, size, width, norm, classes, noise[1], config.dropout)
        ),
    }
