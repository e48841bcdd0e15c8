"""FCN-score: how well labels can be read back from a photo (Isola et al. 2017, section 4.1)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from components.evaluation.intervals import Figure, percentile, resampled
from components.faults import Fault

_LEGACY_EPSILON = 1e-12


@dataclass(frozen=True)
class Scores:
    """Figures of confusion counts with any leading shape (...): each (...), the per-class ones (..., classes).

    A class that the arithmetic leaves out is NaN in the per-class figures.
    """

    pixel_accuracy: Tensor
    class_accuracy: Tensor
    class_iou: Tensor
    accuracy_per_class: Tensor
    iou_per_class: Tensor


def confusions(truth: Tensor, predicted: Tensor, classes: int, outputs: int) -> Tensor:
    """Pixels by true (rows) and predicted (columns) class, for each image: (N, classes, outputs) int64.

    Args:
        truth: (N, H, W) class indices, or (N,), one a picture; those of `classes` and above (void) are not counted.
        predicted: (N, H, W) indices below `outputs`, which may be more than `classes`.
    """
    a, b = (x.reshape(len(x), -1).long() for x in (truth, predicted))
    if a.shape != b.shape:
        raise Fault(f"labels of {tuple(truth.shape)} cannot be compared with {tuple(predicted.shape)}")
    if b.numel() and int(b.max()) >= outputs:
        raise Fault(f"predicted label {int(b.max())} is outside the {outputs} classes")
    image = torch.arange(len(a))[:, None].expand_as(a)
    cell = (image * classes + a) * outputs + b
    counts = torch.bincount(cell[a < classes], minlength=len(a) * classes * outputs)
    return counts.view(len(a), classes, outputs)


def attribute_confusions(truth: Tensor, predicted: Tensor) -> Tensor:
    """Whether attributes (N, attributes) hold, by truth (rows) and reading (columns): (N, attributes, 2, 2) int64."""
    counts = confusions(truth.reshape(-1), predicted.reshape(-1), 2, 2)
    return counts.view(*truth.shape, 2, 2)


def corrected(counts: Tensor) -> Scores:
    """Scores over the classes that the true labels have; NaN and out of the means for the others.

    Args:
        counts: (..., classes, outputs) of any number type. A prediction that is no class of the labels is
            wrong, and no class's own.
    """
    hist = counts.double()
    hits = hist.diagonal(dim1=-2, dim2=-1)
    rows = hist.sum(-1)
    columns = hist.sum(-2)[..., : rows.shape[-1]]
    absent = rows == 0
    accuracy = (hits / rows).masked_fill(absent, torch.nan)
    iou = (hits / (rows + columns - hits)).masked_fill(absent, torch.nan)
    pixel = hits.sum(-1) / rows.sum(-1)
    return Scores(pixel, accuracy.nanmean(-1), iou.nanmean(-1), accuracy, iou)


def legacy(counts: Tensor) -> Scores:
    """Scores as the first release's Cityscapes script computes them, to the last digit.

    Its histogram index is classes * true + predicted, so an output one past the classes (its net has 20,
    its labels 19) is counted as class 0 of the next row. An image where that runs past the last row is left
    out whole, as the script does; `spill` must therefore have been applied to each image's counts.
    1e-12 is added to each denominator: absent classes score 0, and count in the means.

    Args:
        counts: (..., classes, classes), sums of `spill`ed images.
    """
    hist = counts.double()
    hits = hist.diagonal(dim1=-2, dim2=-1)
    rows, columns = hist.sum(-1), hist.sum(-2)
    accuracy = hits / (rows + _LEGACY_EPSILON)
    iou = hits / (rows + columns - hits + _LEGACY_EPSILON)
    pixel = hits.sum(-1) / (rows.sum(-1) + _LEGACY_EPSILON)
    return Scores(pixel, accuracy.mean(-1), iou.mean(-1), accuracy, iou)


def spill(counts: Tensor) -> Tensor:
    """Per-image counts (N, classes, outputs) as the legacy script bins them, (N, classes, classes)."""
    images, classes, outputs = counts.shape
    if outputs <= classes:
        return torch.nn.functional.pad(counts, (0, classes - outputs))
    flat = counts.new_zeros(images, classes * classes + outputs - classes)
    for row in range(classes):
        flat[:, row * classes : row * classes + outputs] += counts[:, row]
    inside = (flat[:, classes * classes :] == 0).all(1)
    kept = flat[:, : classes * classes] * inside[:, None]
    return kept.view(images, classes, classes)


def fcn_figures(
    counts: Tensor, names: tuple[str, ...], draws: Tensor, prefix: str
) -> dict[str, Figure | dict[str, Figure]]:
    """All figures of one set of images by {prefix}_{figure}; those of single classes are one level deeper.

    Args:
        counts: (N, classes, outputs) of `confusions`.
        names: the classes. draws: (B, N) counts of `intervals.draws`. prefix: "fcn", or "labels" where
            labels are compared with no network between.
    """
    out: dict[str, Figure | dict[str, Figure]] = {}
    for kind, each, score in (("", counts, corrected), ("legacy_", spill(counts), legacy)):
        whole, replicates = score(each.sum(0)), score(resampled(draws, each.double()))
        for name in ("pixel_accuracy", "class_accuracy", "class_iou"):
            out[f"{prefix}_{kind}{name}"] = _figure(getattr(whole, name), getattr(replicates, name))
        if not kind:
            out[f"{prefix}_iou_per_class"] = {
                label: _figure(whole.iou_per_class[i], replicates.iou_per_class[:, i])
                for i, label in enumerate(names)
                if not bool(whole.iou_per_class[i].isnan())
            }
    return out


def condition_figures(
    counts: Tensor, names: tuple[str, ...], draws: Tensor, prefix: str
) -> dict[str, Figure | dict[str, Figure]]:
    """How often a judge reads the condition that was asked for: {prefix}_accuracy, over all and by class.

    Args:
        counts: (N, classes, outputs) of `confusions`, one count a picture; or of `attribute_confusions`, of which the
            accuracy over all is the mean of each one's. names, draws, prefix: as of `fcn_figures`.
    """
    whole, replicates = corrected(counts.sum(0)), corrected(resampled(draws, counts.double()))
    if counts.dim() > 3:
        each, by_set = whole.pixel_accuracy, replicates.pixel_accuracy
        return {
            f"{prefix}_accuracy": _figure(each.mean(), by_set.mean(-1)),
            f"{prefix}_accuracy_per_class": {name: _figure(each[i], by_set[:, i]) for i, name in enumerate(names)},
        }
    return {
        f"{prefix}_accuracy": _figure(whole.pixel_accuracy, replicates.pixel_accuracy),
        f"{prefix}_accuracy_per_class": {
            label: _figure(whole.accuracy_per_class[i], replicates.accuracy_per_class[:, i])
            for i, label in enumerate(names)
            if not bool(whole.accuracy_per_class[i].isnan())
        },
    }


def _figure(value: Tensor, replicates: Tensor) -> Figure:
    return percentile(float(value), replicates)
