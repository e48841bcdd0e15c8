"""A model's distances in a sentence: its place on a scale, and whether it is better than its own input."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.evaluation.intervals import PERCENT, Figure
from components.samples.domain import Domain

_DISTANCES = {"fid": "FID", "kid": "KID"}
_ENDS = {"mean_colour": "the flat painter", "input": "its own input", "bicubic": "bicubic interpolation"}


def summarise(
    rows: Mapping[str, Mapping[str, Any]], suffixes: list[str], source: Domain | None, target: Domain
) -> dict[str, Any]:
    """The summary of one direction.

    Args:
        rows: the figures of each row, with replicates. suffixes: of the feature networks, the first one's names bare.
        source: None where pictures are made from noise; no row stands at 1 then.

    Returns:
        "scale": the row that stands at 1. Of pictures made from pictures it is the input, since a model that changes
        nothing is the least there is, or, where they are larger, the input enlarged by bicubic interpolation; of
        pictures made from labels it is the flat painter. "fid_excess_ratio" and
        "kid_excess_ratio": (model - floor) / (that row - floor), so 0 is real. "no_better_than_input": the distances
        by which the model is not clearly nearer to real pictures than what it was given, by 95 % of the redrawn sets.
        Where no row stands at 1: "beside_floor", the model's distances and the floor's, where there is one.
    """
    if source is None:
        return _beside_floor(rows, suffixes[0]) if suffixes else {}
    own = "bicubic" if "bicubic" in rows else "input"
    scale = own if source.kind == target.kind == "image" else "mean_colour"
    if not {"floor", own, scale} <= rows.keys():
        return {}
    found: dict[str, Any] = {"scale": scale, "no_better_than_input": []}
    for position, suffix in enumerate(suffixes):
        for metric in _DISTANCES:
            name = f"{metric}_{suffix}".rstrip("_")
            model, given = rows["model"][name], rows[own][name]
            floor, end = rows["floor"][name].value, rows[scale][name].value
            if end > floor:
                label = metric if position == 0 else f"{metric}_{suffix or 'inception'}"
                found[f"{label}_excess_ratio"] = (model.value - floor) / (end - floor)
            if position == 0 and not _clearly_less(model, given):
                found["no_better_than_input"].append(metric)
    return found


def sentence(summary: Mapping[str, Any]) -> str:
    """The summary in words; empty where no distance was measured."""
    places = [
        f"{summary[f'{metric}_excess_ratio']:.2f} by {word}"
        for metric, word in _DISTANCES.items()
        if f"{metric}_excess_ratio" in summary
    ]
    said = [
        f"{_DISTANCES[metric]} {model:.{digits}f}, where as many real pictures have {floor:.{digits}f}."
        for metric, digits in (("fid", 1), ("kid", 4))
        for model, floor in [summary.get("beside_floor", {}).get(metric, (None, None))]
        if model is not None
    ]
    if idle := [_DISTANCES[metric] for metric in summary.get("no_better_than_input", ())]:
        least = _ENDS["bicubic"] if summary["scale"] == "bicubic" else "its input"
        said.append(f"The model is no better than {least} by {' and '.join(idle)}.")
    if places:
        end = _ENDS[summary["scale"]]
        said.append(f"Between real pictures (0) and {end} (1), the model stands at {' and at '.join(places)}.")
    return " ".join(said)


def _beside_floor(rows: Mapping[str, Mapping[str, Any]], suffix: str) -> dict[str, Any]:
    names = {metric: f"{metric}_{suffix}".rstrip("_") for metric in _DISTANCES}
    both = [rows.get("model", {}), rows.get("floor", {})]
    found = {
        metric: [row[name].value for row in both] for metric, name in names.items() if all(name in row for row in both)
    }
    return {"beside_floor": found} if found else {}


def _clearly_less(first: Figure, second: Figure) -> bool:
    """Whether a distance is less than another on all but the least share of the redrawn sets."""
    if first.replicates is None or second.replicates is None:
        return first.high < second.low
    gains = (second.replicates - first.replicates).numpy()
    return bool(np.percentile(gains, (100 - PERCENT) / 2) > 0)
