"""Objective: one metric of one model, for comparing many models on the same data."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import make_protocol, open_truth
from components.evaluation.features import open_networks
from components.evaluation.figures import figures_of
from components.evaluation.intervals import Figure
from components.evaluation.measure import Measured, Measurer, Subset
from components.evaluation.protocol import Protocol
from components.evaluation.reading import measurable
from components.evaluation.rows import Row
from components.faults import Fault
from components.samples.task import Task
from components.shards.reader import Split, evenly
from components.systems.judge import Judge

_LESS = ("fid", "kid", "l1", "feature_distance", "mode_kl", "mode_js")


def less_is_better(figure: str) -> bool:
    """Whether a smaller value of a metric is better, by its name."""
    return figure.startswith(_LESS)


@dataclass(frozen=True)
class Value:
    """A measured objective: the metric with its 95 % interval over the pictures."""

    value: float
    low: float
    high: float


class Objective:
    """Measures one figure of generated pictures against the same true ones, always under one protocol.

    Args:
        figure: a figure's name as in data/metrics, such as fcn_class_iou, fid_efficientnet_lite0 or psnr;
            None takes the labels' class IoU (read by the judge, or the target's own), or the condition's accuracy,
            and KID where nothing can be read.
        train, val: the training split, which is part of the protocol, and the split compared with.
        samples: so many of val are compared, evenly spread; None: all.
        task: what is made of what. judge: reads back what a picture shows, None where there is none.
        cache: folder where features of real pictures are kept for the next time.
        sources: the samples that are translated, where they are others than `val`; as many of them at most.

    Raises:
        Fault: the figure cannot be measured on this data; it names those that can.
    """

    def __init__(
        self,
        figure: str | None,
        config: EvaluateConfig,
        train: Split,
        val: Split,
        task: Task,
        judge: Judge | None,
        cache: Path | None = None,
        samples: int | None = None,
        sources: Split | None = None,
    ) -> None:
        self._config, self._cache = config, cache
        asked = None if sources is None else _spread(sources, samples)
        self._truth, reading = open_truth(_spread(val, samples), task, judge, asked)
        self._domain = val.domains[task.target]
        known = measurable(task, val.domains, reading, config.suffixes, figure)
        self.figure = figure or known.default
        self._asks = {
            "distances": self.figure in known.distances,
            "labels": self.figure in known.read,
            "pixels": self.figure in known.pixels,
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
    def asked(self) -> Subset:
        """The samples that a model is asked about."""
        return self._truth.asked

    def measure(self, pictures: NDArray[np.uint8]) -> Value:
        """The figure of generated pictures, one for each of `asked` in order: (N, H, W, 3) or (N, H, W).

        Raises:
            Fault: another number of pictures than sources, or pictures of another size or type.
        """
        truth = self._truth
        if len(pictures) != len(truth.asked):
            what = f"{len(truth.asked)} samples of {truth.asked.split.name}"
            raise Fault(f"{len(pictures)} generated pictures for {what}")
        expected = self._domain.shape
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected:
            found = f"{pictures.dtype} {pictures.shape[1:]}"
            raise Fault(f"generated pictures are {found}; they are compared with uint8 {expected}")
        model = Row("model", self._domain, len(pictures), lambda i: pictures[i], kept=False, **self._asks)
        with tqdm(disable=True) as bar:
            measurer = Measurer(self._networks, truth, self._config.batch_size, self._cache, bar)
            if "real" not in self._measured:
                target = partial(truth.test.picture, domain=truth.target)
                real = Row("real", self._domain, len(truth.test), target, labels=False, pixels=False, score=False)
                self._measured["real"] = measurer.measure(real) if self._networks else Measured()
            self._measured["model"] = measurer.measure(model)
        figures = figures_of(model, self._measured, self._networks, truth, self._config)
        measured = figures[self.figure]
        assert isinstance(measured, Figure)  # those of single classes are no objective
        return Value(measured.value, measured.low, measured.high)


def _spread(split: Split, samples: int | None) -> Subset:
    """So many samples of a split, evenly; all where there are no more."""
    if samples is None or samples >= len(split):
        return Subset(split)
    return Subset(split, tuple(evenly(len(split), samples)))
