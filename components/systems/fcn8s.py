"""The judge of the FCN-score as a system of one phase: it learns to read labels from photos."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.fcn8s import FCN8s
from components.networks.tensors import on_device
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Use, of_source


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

    ignore = shape.target.ignore
    if ignore is not None and ignore < classes:
        weights[ignore] = 0  # nothing is learned of it

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        # Not torch's cross_entropy, which has no deterministic form on a GPU: products with one-hot (N, classes, H, W).
        # A plain mean over pixels, not over weights: the ranks' means average to the joined batch's.
        each = target * F.log_softmax(logits, dim=1) * on_device(weights, logits.device)[:, None, None]
        return -each.sum() / target[:, 0].numel()

    def labelled(target: Tensor) -> Tensor:
        """(N, H, W): where there is a class to learn."""
        known = target.sum(dim=1) > 0
        return known & (target[:, ignore] == 0) if ignore is not None and ignore < classes else known

    def terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        return {"cross_entropy": loss(networks["segmenter"](batch["source"]).float(), batch["target"])}

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        target = batch["target"]
        logits = networks["segmenter"](batch["source"]).float()
        wrong = ((logits.argmax(dim=1) != target.argmax(dim=1)) & labelled(target)).float().mean()
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
