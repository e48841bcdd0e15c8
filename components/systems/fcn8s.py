"""The judge of the FCN-score as a system of one phase: it learns to read labels from photos."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.fcn8s import FCN8s
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Translation


class FCN8sConfig(SystemSection):
    """FCN-8s (Long et al. 2015). `width` 64 is the published network.

    `balance` weighs a class by its frequency to the power of -balance: 0 not at all, 1 fully.
    """

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
        return F.cross_entropy(logits, target, weights.to(logits.device), reduction="sum") / target.numel()

    def terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        target = batch["target"].argmax(dim=1)
        return {"cross_entropy": loss(networks["segmenter"](batch["source"]).float(), target)}

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        target = batch["target"].argmax(dim=1)
        logits = networks["segmenter"](batch["source"]).float()
        wrong = (logits.argmax(dim=1) != target).float().mean()
        return {"cross_entropy": loss(logits, target), "pixel_error": wrong}

    def read(network: nn.Module, source: Tensor, _seeds: Tensor) -> Tensor:
        return torch.softmax(network(source).float(), dim=1)

    return System(
        networks=nn.ModuleDict({"segmenter": FCN8s(classes, config.width, config.dropout)}),
        phases=(Phase("segmenter", ("segmenter",), terms),),
        translations={"segmenter": Translation("segmenter", read)},
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
