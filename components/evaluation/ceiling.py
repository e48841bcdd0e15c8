"""How well a judge reads real pictures: the ceiling of what it reads from generated ones."""

import numpy as np
import torch
from torch import Tensor

from components.evaluation.fcn_score import attribute_confusions, confusions, corrected
from components.evaluation.measure import scored
from components.shards.reader import Split
from components.systems.judge import Judge


def ceiling(judge: Judge, split: Split, batch: int = 32) -> dict[str, float]:
    """The score of the real photos of a split, which generated photos are not expected to exceed.

    Of a label map `pixel_accuracy`, `class_accuracy` and `class_iou`; of a category `accuracy`; of attributes the mean
    `accuracy`, and `accuracy_NAME` of each.
    """
    photo, label = judge.card.task.source, judge.card.task.target
    assert photo is not None
    domain, classes = split.domains[label], len(judge.classes)
    parts: list[Tensor] = []
    for start in range(0, len(split), batch):
        indices = range(start, min(start + batch, len(split)))
        photos = np.stack([split.picture(index, photo) for index in indices])
        truth = torch.from_numpy(np.stack([scored(domain, split.picture(index, label)) for index in indices]))
        read = judge.read(judge.predict(photos))
        attributes = domain.kind == "attributes"
        counts = attribute_confusions(truth, read) if attributes else confusions(truth, read, classes, classes)
        parts.append(counts.sum(dim=0))
    scores = corrected(torch.stack(parts).sum(dim=0))
    if domain.kind == "attributes":
        each = zip(judge.classes, scores.pixel_accuracy.tolist(), strict=True)
        return {"accuracy": float(scores.pixel_accuracy.mean())} | {f"accuracy_{name}": value for name, value in each}
    if domain.kind == "category":
        return {"accuracy": float(scores.pixel_accuracy)}
    return {name: float(getattr(scores, name)) for name in ("pixel_accuracy", "class_accuracy", "class_iou")}
