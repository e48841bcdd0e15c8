"""SRGAN, and SRResNet as its first stage: pictures of a higher resolution (Ledig et al. 2017, arXiv:1609.04802)."""

from collections.abc import Callable
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor, nn

from components.faults import Fault
from components.networks.layers import InitName, NormName, init_kaiming, init_normal
from components.networks.srresnet import SRDiscriminator, SRResNet
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.objectives.features import content_loss
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.samples.schema import Section
from components.systems.system import (
    Batch,
    Moment,
    Phase,
    Published,
    Shape,
    System,
    SystemSection,
    Terms,
    Use,
    of_source,
)
from components.systems.translation.perceptual import FeaturesConfig, perceptual


class SRDiscriminatorConfig(Section):
    """SRGAN's discriminator.

    Attributes:
        units: of its first layer that sees the whole picture.
    """

    width: PositiveInt = 64
    units: PositiveInt = 1024
    norm: NormName = "batch"
    init: InitName = "normal"


class SRGANConfig(SystemSection):
    """The defaults are the paper's networks and weights (configs/papers/srgan.yaml).

    Attributes:
        resnet_share: share of the run's steps in which the generator is SRResNet, which learns by squared error alone.
            SRGAN begins from it. 1 is SRResNet, without a discriminator; 0 leaves it out.
        features, layer: the network and its layer in whose features SRGAN's content loss is the squared error; null: it
            is that of the pixels. lambda_content: its weight.
        residual: whether the network adds to its source, enlarged by bicubic interpolation.
    """

    name: Literal["srgan"] = "srgan"
    resnet_share: float = Field(default=5 / 6, ge=0, le=1)
    features: FeaturesConfig | None = None
    layer: str | None = None
    lambda_content: NonNegativeFloat = 1.0
    lambda_adversarial: NonNegativeFloat = 1e-3
    adversarial: AdversarialName = "vanilla"
    width: PositiveInt = 64
    blocks: PositiveInt = 16
    norm: NormName = "batch"
    init: InitName = "normal"
    residual: bool = False
    discriminator: SRDiscriminatorConfig = SRDiscriminatorConfig()

    @property
    def paced(self) -> bool:
        """The stages are shares of the run, where there are two."""
        return 0 < self.resnet_share < 1

    @property
    def judged_by_kid(self) -> bool:
        """SRResNet alone is made for the squared error."""
        return self.resnet_share < 1

    @model_validator(mode="after")
    def _layer_of_features(self) -> Self:
        if (self.features is None) != (self.layer is None):
            raise ValueError("layer names a layer of features: give both, or neither for a loss in pixels")
        return self


def srgan(config: SRGANConfig, shape: Shape) -> System:
    """SRResNet's steps, then SRGAN's: discriminator, then generator, of the same fakes.

    Both stages move one generator, so the second begins where the first ends; each has an optimizer of its own, since
    the authors begin SRGAN with new moments, and `train.learning_rates` may give each its own rate.

    Raises:
        Fault: a target, or with `residual` a source, that is not in colour, sizes between which the network cannot
            enlarge, or a layer that the feature network does not have.
    """
    if not shape.target.in_colour:
        raise Fault(f"system srgan makes pictures in colour, and the target is of kind {shape.target.kind}")
    if config.residual and not shape.source.in_colour:
        raise Fault("system.residual: adds to what it is given in colour; see train.labels")
    size = shape.target.height_width
    scale = scale_of(shape.source.height_width, size)
    loss = ADVERSARIAL[config.adversarial]
    channels = shape.source.channels, shape.target.channels
    generator = SRResNet(*channels, scale, config.width, config.blocks, config.norm, config.residual)
    networks = nn.ModuleDict({"generator": _initialised(generator, config.init)})
    generator.start_small()
    if config.resnet_share < 1:
        own = config.discriminator
        discriminator = SRDiscriminator(shape.target.channels, size, own.width, own.units, own.norm)
        networks["discriminator"] = _initialised(discriminator, own.init)

    content = _content(config)

    def enlarge(network: nn.Module, source: Tensor, _: Tensor) -> Tensor:
        made: Tensor = network(source)
        return made

    def resnet_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        return {"mse": F.mse_loss(networks["generator"](batch["source"]), batch["target"])}

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        judge, fake = networks["discriminator"], networks["generator"](batch["source"])
        batch["fake"] = fake
        return loss.discriminator(batch, judge(fake.detach()), judge(batch["target"]), share=1.0)

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = batch["fake"]  # with the graph of the discriminator's phase: the generator has not moved since
        return {
            "content": config.lambda_content * content(fake, batch["target"]),
            "adversarial": config.lambda_adversarial * loss.generator(networks["discriminator"](fake)),
        }

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        made = networks["generator"](batch["source"])
        mse = {"mse": F.mse_loss(made, batch["target"])}
        return mse if config.resnet_share == 1 else {"distance": sliced_wasserstein(made, batch["target"])} | mse

    phases = (
        Phase("resnet", ("generator",), resnet_terms, due=lambda moment: in_resnet(config, moment)),
        Phase("discriminator", ("discriminator",), discriminator_terms, due=lambda m: not in_resnet(config, m)),
        Phase("generator", ("generator",), generator_terms, due=lambda moment: not in_resnet(config, moment)),
    )
    return System(
        networks=networks,
        phases=phases[:1] if config.resnet_share == 1 else phases if config.resnet_share else phases[1:],
        uses={"generator": Use("generator", of_source(enlarge))},
        validation=validation,
        averaged=("generator",),
        published=Published(learning_rate=1e-4, betas=(0.9, 0.999)),
    )


def _content(config: SRGANConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """The content loss of pictures and their true ones."""
    if config.features is None or config.layer is None:
        return F.mse_loss
    layer, features = config.layer, perceptual(config.features, (config.layer,))

    def loss(made: Tensor, real: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = features(real)
        return content_loss(features(made), wanted, layer)

    return loss


def in_resnet(config: SRGANConfig, moment: Moment) -> bool:
    """Whether a step is one of the first stage."""
    return moment.step < round(config.resnet_share * moment.steps) if config.paced else bool(config.resnet_share)


def scale_of(low: tuple[int, int], high: tuple[int, int]) -> int:
    """How many times as large the target is as its source, a power of two.

    Args:
        low, high: height and width of source and target.

    Raises:
        Fault: the source is the larger, or no power of two takes its sides to the target's.
    """
    sides = f"the source is {low[0]}x{low[1]} and the target {high[0]}x{high[1]}"
    if low[0] > high[0] or low[1] > high[1]:
        raise Fault(f"system srgan makes pictures larger: {sides}; let the smaller one be the source")
    if any(tall % short for short, tall in zip(low, high, strict=True)):
        raise Fault(f"system srgan enlarges by a whole number: {sides}, whose sides are no multiples of the source's")
    scale, across = high[0] // low[0], high[1] // low[1]
    if scale != across:
        raise Fault(f"system srgan enlarges both sides alike: {sides}, {scale} times as high and {across} as wide")
    if scale & (scale - 1):
        raise Fault(f"system srgan doubles sides: {sides}, {scale} times as large, which is no power of two")
    return scale


def _initialised(network: nn.Module, init: InitName) -> nn.Module:
    return (init_kaiming if init == "kaiming" else init_normal)(network)
