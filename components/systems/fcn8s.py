"""The judge of the FCN-score as a system of one phase: it learns to read labels from photos."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.fcn8s import FCN8s
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Use, of_source

_VOID = -100  # the label of a pixel that is not labelled, as torch's cross_entropy has it


class FCN8sConfig(SystemSection):
    """FCN-8s (Long et al. 2015). `width` 64 is the published network.

    `balance` weighs a class by its frequency to the power of -balance: 0 not at all, 1 fully.
    """

    skips_void: ClassVar[bool] = True
    name: Literal["fcn8s"] = "fcn8s"
    width: PositiveInt = 64
    dropout: float = Field(default=0.5, ge=0, lt=1)
    balance: float = Field(default=0.5, ge=0, le=1)


def fcn8s(config: FCN8sConfig, shape: Shape) -> System:
    """Per-pixel classification of a photo, class-balanced.

    Raises:
        Fault: the target is not a label map in classes, or the source no image.
    """
    if shape.target.kind != "label" or shape.source.kind != "image":
        raise Fault("system fcn8s reads labels from images: its task needs an image source and a label target")
    if shape.target.in_colour:
        raise Fault("system fcn8s learns classes: set train.labels to one_hot")
    classes = len(shape.target.classes)
    weights = class_weights(shape.frequencies or (1 / classes,) * classes, config.balance)

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        # A plain mean over pixels, not over weights: the ranks' means average to the joined batch's.
        each = F.cross_entropy(logits, target, weights.to(logits.device), ignore_index=_VOID, reduction="sum")
        return each / target.numel()

    def labels(target: Tensor) -> Tensor:
        """(N, H, W) class indices of one-hot (N, classes, H, W); _VOID where nothing is learned from."""
        indices = target.argmax(dim=1)
        ignore = shape.target.ignore
        if ignore is None:
            return indices
        void = indices == ignore if ignore < classes else target.sum(dim=1) == 0
        return indices.masked_fill(void, _VOID)

    def terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        target = labels(batch["target"])
        return {"cross_entropy": loss(networks["segmenter"](batch["source"]).float(), target)}

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        target = labels(batch["target"])
        logits = networks["segmenter"](batch["source"]).float()
        wrong = ((logits.argmax(dim=1) != target) & (target != _VOID)).float().mean()
        return {"cross_entropy": loss(logits, target), "pixel_error": wrong}

    def read(network: nn.Module, source: Tensor, _seeds: Tensor) -> Tensor:
        return torch.softmax(network(source).float(), dim=1)

    return System(
        networks=nn.ModuleDict({"segmenter": FCN8s(classes, config.width, config.dropout)}),
        phases=(Phase("segmenter", ("segmenter",), terms),),
        uses={"segmenter": Use("segmenter", of_source(read))},
        validation=validation,
        averaged=("segmenter",),
    )


def class_weights(frequencies: tuple[float, ...], balance: float) -> Tensor:
    """Weights of the classes, (classes,): frequency ** -balance with mean 1 over the pixels.

    A class that never occurs weighs nothing.
    """
    share = torch.tensor(frequencies, dtype=torch.float64)
    weights = torch.where(share > 0, share.clamp(min=1e-12) ** -balance, 0.0)
    return (weights / (weights * share).sum()).float()
