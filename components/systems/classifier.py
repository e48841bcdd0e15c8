"""A classifier as a system of one phase: it learns to read a category, or attributes, from photos."""

from typing import Literal

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.classifier import Classifier
from components.objectives.class_loss import class_loss
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Use, of_source


class ClassifierConfig(SystemSection):
    """`width` channels at first, doubled at each of the levels that bring the shorter side to 4 pixels or fewer."""

    name: Literal["classifier"] = "classifier"
    width: PositiveInt = 32
    dropout: float = Field(default=0.3, ge=0, lt=1)


def classifier(config: ClassifierConfig, shape: Shape) -> System:
    """Classification of a photo by cross-entropy, or binary cross-entropy of each attribute.

    Of stacked pictures it looks at the first channel alone.

    Raises:
        Fault: the target is no category and no attributes, or the source no image.
    """
    if not shape.target.askable or shape.source.kind != "image":
        raise Fault(
            "system classifier reads a category or attributes from images: its task needs an image and one of them"
        )
    exclusive = shape.target.exclusive

    def terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        logits = networks["classifier"](batch["source"]).float()
        return {"cross_entropy": class_loss(logits, batch["target"], exclusive)}

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        logits = networks["classifier"](batch["source"]).float()
        shown = batch["target"]
        wrong = logits.argmax(dim=1) != shown.argmax(dim=1) if exclusive else (logits > 0) != (shown > 0)
        return {"error": wrong.float().mean(), "cross_entropy": class_loss(logits, shown, exclusive)}

    def read(network: nn.Module, source: Tensor, _seeds: Tensor) -> Tensor:
        logits = network(source).float()
        return logits.softmax(dim=1) if exclusive else logits.sigmoid()

    levels = max(2, (min(shape.source.height_width) - 1).bit_length() - 2)
    channels = 1 if shape.source.stacked else shape.source.channels
    network = Classifier(channels, len(shape.target.classes), config.width, levels, config.dropout)
    return System(
        networks=nn.ModuleDict({"classifier": network}),
        phases=(Phase("classifier", ("classifier",), terms),),
        uses={"classifier": Use("classifier", of_source(read))},
        validation=validation,
        averaged=("classifier",),
    )
