"""Objective: one evaluation figure of one model, for comparing many models of the same data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import figures_of, make_protocol, open_truth
from components.evaluation.features import open_networks
from components.evaluation.measure import Measured, Measurer
from components.evaluation.protocol import Protocol
from components.evaluation.rows import Row
from components.faults import Fault
from components.shards.reader import Split
from components.systems.judge import Judge

_LESS = ("fid", "kid", "l1", "feature_distance")


def less_is_better(figure: str) -> bool:
    """Whether a smaller value of an evaluation figure is the better one, by its name."""
    return figure.startswith(_LESS)


@dataclass(frozen=True)
class Value:
    """A measured objective: the figure with its 95 % interval over the pictures."""

    value: float
    low: float
    high: float


class Objective:
    """Measures one figure of generated pictures against the same true ones, always under one protocol.

    Args:
        figure: a figure's name as in data/metrics, such as fcn_class_iou, fid_efficientnet_lite0 or psnr;
            None takes the labels' class IoU (read by the judge, or the target's own), KID where there are none.
        train, val: the training split, which is part of the protocol, and the split compared with.
        samples: of them are compared, evenly spread; None: all.
        task: (source, target) domains. judge: reads labels from photos, None where there is none.
        cache: folder where features of real pictures are kept for the next time.

    Raises:
        Fault: the figure cannot be measured on this data; it names those that can.
    """

    def __init__(
        self,
        figure: str | None,
        config: EvaluateConfig,
        train: Split,
        val: Split,
        task: tuple[str, str],
        judge: Judge | None,
        cache: Path | None = None,
        samples: int | None = None,
    ) -> None:
        self._config, self._cache, self._source = config, cache, task[0]
        truth, skipped = open_truth(val, task[1], judge)
        if samples is not None and samples < len(val):
            places = np.linspace(0, len(val) - 1, samples).round().astype(int)
            truth = replace(truth, chosen=tuple(places.tolist()))
        self._truth, self._domain = truth, val.domains[task[1]]
        labels = "fcn" if self._truth.judge else "labels"
        readable = self._truth.labels is not None
        suffixes = [*config.features, *([""] if config.inception else [])]
        self.figure = figure or (f"{labels}_class_iou" if readable else "_".join(["kid", suffixes[0]]).strip("_"))
        distances = [f"{name}_{suffix}".rstrip("_") for name in ("fid", "kid") for suffix in suffixes]
        read = [f"{labels}_{name}" for name in ("class_iou", "class_accuracy", "pixel_accuracy")] if readable else []
        pixels = ["l1", "psnr", "ssim"] if self._domain.kind == "image" else []
        if self.figure not in (known := [*read, *distances, *pixels]):
            reason = next((f" ({why})" for name, why in skipped.items() if self.figure.startswith(name)), "")
            raise Fault(f"{self.figure} cannot be measured here{reason}; it is one of {', '.join(known)}")
        self._asks = {
            "distances": self.figure in distances,
            "labels": self.figure in read,
            "pixels": self.figure in pixels,
            "score": False,
        }
        self._networks = open_networks(config) if self._asks["distances"] else {}
        self._measured: dict[str, Measured] = {}
        self.protocol: Protocol = make_protocol([self.figure], self._networks, self._truth, train, task, config)

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller value is the better one."""
        return less_is_better(self.figure)

    @property
    def sources(self) -> NDArray[np.uint8]:
        """What is to be translated: the source pictures, (N, H, W, 3) or (N, H, W)."""
        return np.stack([self._truth.picture(i, self._source) for i in range(len(self._truth))])

    def measure(self, pictures: NDArray[np.uint8]) -> Value:
        """The figure of generated pictures, one for each true sample in its order: (N, H, W, 3) or (N, H, W).

        Raises:
            Fault: another number of pictures than true samples.
        """
        truth = self._truth
        if len(pictures) != len(truth):
            raise Fault(f"{len(pictures)} generated pictures for {len(truth)} samples of {truth.test.name}")
        model = Row("model", self._domain, len(pictures), lambda i: pictures[i], kept=False, **self._asks)
        with tqdm(disable=True) as bar:
            measurer = Measurer(self._networks, truth, self._config.batch_size, self._cache, bar)
            if "real" not in self._measured:
                real = replace(model, name="real", read=lambda i: truth.picture(i, truth.target), kept=True)
                real = replace(real, labels=False, pixels=False)
                self._measured["real"] = measurer.measure(real) if self._networks else Measured()
            self._measured["model"] = measurer.measure(model)
        figures: dict[str, Any] = figures_of(model, self._measured, self._networks, truth, self._config)
        found = figures[self.figure]
        return Value(float(found["value"]), float(found["low"]), float(found["high"]))
