"""Style transfer, one network for many styles (Dumoulin et al. 2017, arXiv:1610.07629)."""

from collections.abc import Mapping
from functools import cache
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from components.faults import Fault
from components.networks.noise import draw_rows
from components.networks.style_transfer import StyledNet
from components.networks.tensors import on_device
from components.objectives.features import content_loss, gram, gram_loss
from components.systems.system import Batch, Given, Moment, Phase, Published, Shape, System, SystemSection, Terms, Use
from components.systems.translation.perceptual import FeaturesConfig, VGGEdgesConfig, perceptual
from components.systems.translation.styles import StyleName, Styles, read_style

_STYLES = 31  # the stream of the draw of a picture's style


class StyleTransferConfig(SystemSection):
    """The defaults are the paper's, but for the feature network: its own is VGG-16 with ImageNet's weights.

    Photos of the task's target are shown in another style; there is no picture to be like.

    Attributes:
        styles: names and pictures of styles: {sunset: ~/sunset.jpg, brick: brick}, a list of files and of the pictures
            that come with scikit-image, or a folder.
        learns: the styles that learn, while the others and all convolutions stay as `train.start_from` has them; null:
            everything learns.
        style_side: pixels of a style picture's shorter side; null: as many as the photos' shorter side has.
        content_layer, style_layers: of the feature network, style layers with their weights. The weights go with
            features of pictures from 0 to 255; torchvision's VGGs see values 58 times as small, and a style loss is of
            fourth powers where that of content is of squares.
        widths, blocks: of the generator.
    """

    name: Literal["style_transfer"] = "style_transfer"
    within: ClassVar[bool] = True
    styles: Styles
    learns: tuple[StyleName, ...] | None = None
    style_side: PositiveInt | None = None
    features: FeaturesConfig = Field(default_factory=lambda: VGGEdgesConfig(pooling="average"))
    content_layer: str = "relu3_3"
    lambda_content: NonNegativeFloat = 1.0
    style_layers: dict[str, NonNegativeFloat] = Field(
        default_factory=lambda: dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1e-4), min_length=1
    )
    widths: tuple[PositiveInt, ...] = Field(default=(32, 64, 128), min_length=1)
    blocks: NonNegativeInt = 5

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.learns is not None and (not self.learns or not set(self.learns) <= self.styles.keys()):
            raise ValueError(f"learns names some of the styles, {', '.join(self.styles)}")
        return self


def style_transfer(config: StyleTransferConfig, shape: Shape) -> System:
    """One generator that learns content and style of each photo in a style that the sample's seed draws.

    Raises:
        Fault: photos that are not seen in colour or whose sides the network cannot halve, or unknown layers.
    """
    _check(config, shape)
    names = tuple(config.styles)
    learning = [i for i, name in enumerate(names) if config.learns is None or name in config.learns]
    drawn_of = torch.tensor(learning)
    generator = StyledNet(names, config.widths, config.widths[-2::-1], config.blocks)
    if config.learns is not None:
        generator.requires_grad_(False)
        for name in config.learns:
            generator.vectors()[name].requires_grad_(True)
    before = perceptual(config.features, (config.content_layer,))
    after = perceptual(config.features, (config.content_layer, *config.style_layers))

    @cache
    def wanted(device: torch.device) -> Mapping[str, Tensor]:
        """The Gram matrices of every style, (styles, C, C) by layer: constants, and so in no checkpoint."""
        side = config.style_side or min(shape.target.height_width)
        found = [after(read_style(name, picture, side).to(device)) for name, picture in config.styles.items()]
        return {layer: torch.cat([gram(each[layer]) for each in found]) for layer in config.style_layers}

    def terms_of(network: nn.Module, source: Tensor, content: Mapping[str, Tensor], style: Tensor) -> Terms:
        """Content and style loss of photos in the styles of these indices, (N,)."""
        found = after(network(source, _one_hot(style, len(names))))
        with torch.no_grad():
            grams = {layer: each[style] for layer, each in wanted(source.device).items()}
        return {
            "content": config.lambda_content * content_loss(found, content, config.content_layer),
            "style": gram_loss(found, grams, config.style_layers).mean(),
        }

    def terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        source = batch["source"]
        drawn = draw_rows(batch["seeds"], 1, "uniform", source.device, _STYLES)[:, 0] * len(learning)
        style = on_device(drawn_of, source.device)[drawn.long().clamp(max=len(learning) - 1)]
        with torch.no_grad():
            content = before(source)
        return terms_of(networks["generator"], source, content, style)

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        """`loss`, and both its parts of each style that learns: each photo is shown in all of them."""
        source, content = batch["source"], before(batch["source"])
        found: Terms = {}
        for index in learning:
            style = torch.full((len(source),), index, device=source.device)
            of_style = terms_of(networks["generator"], source, content, style)
            found |= {f"{term}_{names[index]}": value for term, value in of_style.items()}
        return {"loss": torch.stack(list(found.values())).sum() / len(learning)} | found

    def show(network: nn.Module, given: Given) -> Tensor:
        assert given.source is not None
        weights = given.styles
        if weights is None:
            weights = _one_hot(on_device(drawn_of, given.source.device)[:1], len(names))
        made: Tensor = network(given.source, weights)
        return made

    return System(
        networks=nn.ModuleDict({"generator": generator}),
        phases=(Phase("generator", ("generator",), terms),),
        uses={"generator": Use("generator", show, styles=names)},
        validation=validation,
        averaged=("generator",),
        published=Published(learning_rate=1e-3, betas=(0.9, 0.999)),
    )


def _one_hot(index: Tensor, count: int) -> Tensor:
    return (index[:, None] == torch.arange(count, device=index.device)).float()


def _check(config: StyleTransferConfig, shape: Shape) -> None:
    if not shape.target.in_colour:
        raise Fault(
            f"system style_transfer shows photos in styles, and the target is of kind {shape.target.kind}; "
            "name photos in train.task.target"
        )
    multiple = 2 ** (len(config.widths) - 1)
    if any(side % multiple or side < 4 * multiple for side in shape.target.height_width):
        raise Fault(
            f"system.widths: {len(config.widths)} widths need sides that are multiples of {multiple} and at least "
            f"{4 * multiple}, not {shape.target.height_width[0]}x{shape.target.height_width[1]}"
        )
