"""A classifier as a system of one phase: it learns to read a category from photos."""

from typing import Literal

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.classifier import Classifier
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Use, of_source


class ClassifierConfig(SystemSection):
    """`width` channels at first, doubled at each of the levels that bring the shorter side to 4 pixels or fewer."""

    name: Literal["classifier"] = "classifier"
    width: PositiveInt = 32
    dropout: float = Field(default=0.3, ge=0, lt=1)


def classifier(config: ClassifierConfig, shape: Shape) -> System:
    """Classification of a photo by cross-entropy; of stacked pictures it looks at the first channel alone.

    Raises:
        Fault: the target is no category, or the source no image.
    """
    if shape.target.kind != "category" or shape.source.kind != "image":
        raise Fault("system classifier reads a category from images: its task needs an image and a category")

    def terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        return {"cross_entropy": F.cross_entropy(networks["classifier"](batch["source"]).float(), batch["target"])}

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        logits = networks["classifier"](batch["source"]).float()
        wrong = (logits.argmax(dim=1) != batch["target"].argmax(dim=1)).float().mean()
        return {"error": wrong, "cross_entropy": F.cross_entropy(logits, batch["target"])}

    def read(network: nn.Module, source: Tensor, _seeds: Tensor) -> Tensor:
        return network(source).float().softmax(dim=1)

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
