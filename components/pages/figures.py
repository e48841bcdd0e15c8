"""The evaluation's figures as tables and bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.evaluation.objective import less_is_better
from components.pages.curves import number

ROWS = {
    "model": ("Model", "what the generator made"),
    "real": ("Real", "the true test pictures: the ceiling"),
    "floor": ("Floor", "real training pictures against real test pictures"),
    "mean_colour": ("Mean colour", "the flat painter: each class in its mean colour"),
    "mismatched": ("Mismatched", "true pictures of other samples"),
    "input": ("Input", "the source itself, as it is drawn"),
    "bicubic": ("Bicubic", "the source, enlarged by bicubic interpolation"),
    "shuffled": ("Shuffled", "what the model made for other samples' conditions"),
}
_PER_CLASS = ("_iou_per_class", "condition_accuracy_per_class")
# (start of the name, title)
_METRICS = (
    ("fid", "FID"),
    ("kid", "KID"),
    ("inception_score", "Inception Score"),
    ("precision", "Precision"),
    ("recall", "Recall"),
    ("condition_", "Condition read back:"),
    ("modes", "Modes found"),
    ("high_quality", "Share of high quality"),
    ("mode_kl", "KL over the modes"),
    ("mode_js", "JS over the modes"),
    ("train_distance", "Distance to the nearest training picture"),
    ("fcn_legacy_", "FCN, legacy"),
    ("fcn_", "FCN"),
    ("labels_legacy_", "Labels, legacy"),
    ("labels_", "Labels"),
    ("feature_distance", "Feature distance"),
    ("l1", "L1"),
    ("psnr_y", "PSNR of the luma"),
    ("psnr", "PSNR"),
    ("ssim_y", "SSIM of the luma"),
    ("ssim", "SSIM"),
)


@dataclass(frozen=True)
class Bar:
    """A figure with its interval, placed between 0 and 100 on the scale of its chart."""

    row: str
    label: str
    about: str
    text: str
    interval: str
    at: float
    low: float
    high: float
    note: str


@dataclass(frozen=True)
class Metric:
    """One figure of all rows."""

    name: str
    title: str
    detail: str
    less_is_better: bool
    bars: tuple[Bar, ...]

    def bar(self, row: str) -> Bar | None:
        """The bar of a row, None where the row has no such figure."""
        return next((bar for bar in self.bars if bar.row == row), None)


@dataclass(frozen=True)
class RowTitle:
    """A row of the table of figures, and what it is."""

    name: str
    label: str
    about: str


@dataclass(frozen=True)
class ClassBars:
    """How one class is read back: of the model's pictures and of real ones."""

    label: str
    model: Bar
    real: Bar | None


def shown_rows(rows: dict[str, Any]) -> list[RowTitle]:
    """The rows there are, the known ones first and in their order."""
    names = [*(name for name in ROWS if name in rows), *(name for name in rows if name not in ROWS)]
    return [RowTitle(name, *ROWS.get(name, (name, ""))) for name in names]


def metrics(rows: dict[str, Any]) -> list[Metric]:
    """Every figure that any row has, in the order of `_METRICS`, with the rows in the order of ROWS."""
    names = dict.fromkeys(name for row in rows.values() for name, entry in row.items() if "value" in entry)
    order = {name: rank(name) for name in names}
    return [_metric(name, rows) for name in sorted(names, key=lambda name: order[name])]


def per_class(rows: dict[str, Any], classes: Sequence[str]) -> list[ClassBars]:
    """The IoU of each class, or how often each is read back where it is asked for, the model's beside the ceiling's, in
    the order of the classes."""
    model, real = _per_class(rows["model"]), _per_class(rows.get("real", {}))
    return [
        ClassBars(label, _bar("model", entry, 0.0, 1.0), _bar("real", real[label], 0.0, 1.0) if label in real else None)
        for label, entry in sorted(model.items(), key=lambda item: [*classes, item[0]].index(item[0]))
    ]


def _per_class(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return next((entry for name, entry in row.items() if name.endswith(_PER_CLASS)), {})


def title(name: str) -> tuple[str, str]:
    """A figure's title and what qualifies it: fid_efficientnet_lite0 -> FID, efficientnet lite0."""
    start, text = _METRICS[rank(name)] if rank(name) < len(_METRICS) else ("", name)
    detail = name.removeprefix(start).strip("_").replace("_", " ").replace("iou", "IoU")
    return text, detail if start else ""


def rank(name: str) -> int:
    """A figure's place in the order of the page."""
    places = (i for i, (start, _) in enumerate(_METRICS) if name.startswith(start))
    return next(places, len(_METRICS))


def _metric(name: str, rows: dict[str, Any]) -> Metric:
    entries = {row.name: rows[row.name][name] for row in shown_rows(rows) if "value" in rows[row.name].get(name, {})}
    ends = [end for entry in entries.values() for end in (entry["value"], entry.get("low"), entry.get("high"))]
    known = [float(end) for end in ends if end is not None and math.isfinite(end)]
    low, high = min(0.0, *known, 0.0), max(*known, 0.0)
    bars = tuple(_bar(row, entry, low, high) for row, entry in entries.items())
    return Metric(name, *title(name), less_is_better(name), bars)


def _bar(row: str, entry: dict[str, Any], low: float, high: float) -> Bar:
    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2) if high > low else 0.0

    value = float(entry["value"])
    ends = [float(entry[end]) if entry.get(end) is not None else value for end in ("low", "high")]
    label, about = ROWS.get(row, (row, ""))
    interval = f"{number(ends[0])} to {number(ends[1])}"
    note = str(entry.get("note", ""))
    return Bar(row, label, about, number(value), interval, place(value), place(ends[0]), place(ends[1]), note)
