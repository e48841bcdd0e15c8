"""DiscoGAN: two translators that reconstruct each other's input (Kim et al. 2017, arXiv:1703.05192)."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat
from torch import nn

from components.networks.patchgan import PatchGAN, PatchSize
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.objectives.feature_matching import feature_matching
from components.systems.parts import EncoderDecoderConfig, GeneratorConfig, PatchGANConfig
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms
from components.systems.translation.two_ways import TwoWays


class DiscoGANConfig(SystemSection):
    """The defaults are the paper's losses and generators: four stride-2 levels down and up, no skips.

    The published discriminator gives one logit a 64-pixel picture; this one gives logits of patches that see all
    of such a picture. Not here, of the authors' release: the weight decay of 1e-5, the weights that
    change with the steps, and two steps of the generators for each of the discriminators.

    Attributes:
        lambda_reconstruction: weight of the squared error of a picture after both translations.
        lambda_features: weight of feature matching in the discriminators' activations (Salimans et al. 2016,
            arXiv:1606.03498). The paper has none; the authors' release gives it 9 times the adversarial weight.
    """

    paired: ClassVar[bool] = False
    name: Literal["discogan"] = "discogan"
    lambda_reconstruction: NonNegativeFloat = 1.0
    lambda_features: NonNegativeFloat = 0.0
    adversarial: AdversarialName = "vanilla"
    patch_size: PatchSize = 142
    generator: GeneratorConfig = Field(default_factory=lambda: EncoderDecoderConfig(levels=4, dropout=0))
    discriminator: PatchGANConfig = Field(default_factory=PatchGANConfig)


def discogan(config: DiscoGANConfig, shape: Shape) -> System:
    """Generators, then discriminators, each pair with one optimizer; a discriminator's loss is halved."""
    loss = ADVERSARIAL[config.adversarial]
    ways = TwoWays(shape)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        source, target = batch["source"], batch["target"]
        trips = ways.round_trips(networks, batch)
        batch["fake"], batch["fake_back"] = trips.fake.detach(), trips.fake_back.detach()
        terms = {
            "reconstruction": config.lambda_reconstruction * F.mse_loss(trips.source, source),
            "reconstruction_back": config.lambda_reconstruction * F.mse_loss(trips.target, target),
        }
        for end, made, real in (("", trips.fake, target), ("_back", trips.fake_back, source)):
            discriminator = networks[f"discriminator{end}"]
            assert isinstance(discriminator, PatchGAN)
            *features, logits = discriminator.features(made)
            terms[f"adversarial{end}"] = loss.generator(logits)
            if config.lambda_features:
                wanted = discriminator.features(real)[:-1]
                terms[f"features{end}"] = config.lambda_features * feature_matching(wanted, features)
        return terms

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        terms: Terms = {}
        for end, name in (("", "target"), ("_back", "source")):
            discriminator = networks[f"discriminator{end}"]
            fake, real = discriminator(batch[f"fake{end}"]), discriminator(batch[name])
            terms |= loss.discriminator(batch, fake, real, end)
        return terms

    generators = ways.generators(config.generator)
    discriminators = ways.discriminators(config.discriminator, config.patch_size)
    return System(
        networks=nn.ModuleDict(generators | discriminators),
        phases=(
            Phase("generators", tuple(generators), generator_terms),
            Phase("discriminators", tuple(discriminators), discriminator_terms),
        ),
        uses=ways.uses,
        validation=ways.validation("reconstruction", F.mse_loss),
        averaged=tuple(generators),
    )
