"""The headline metrics of a model: the few by which people compare runs, under short names."""

from collections.abc import Iterator, Mapping
from typing import Any

_SHORT = {"efficientnet_lite0": "lite0"}


def headline(directions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """At most eight metrics of each direction, the first direction's bare and those of others under their names.

    `fid` and `kid_x1000` (KID is a few thousandths) end in the feature network's short name, but for the published
    one; `*_excess` is 0 where pictures are as real ones and 1 where they are the flat painter's; `class_iou` is of
    the labels that are read back, from 0 to 1; `condition_kept` is of the attributes that were to stay; `l1` is in
    grey levels; `psnr_y` is of pictures that were enlarged, in dB; `modes`, `high_quality` and `mode_kl` are of points
    (components/evaluation/points.py).

    Args:
        directions: the content of data/metrics/rows.json.
    """
    found = {name: dict(_of_model(measured)) for name, measured in directions.items()}
    first, *others = found
    return found[first] | {name: found[name] for name in others}


def _of_model(measured: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    model, summary = measured["rows"]["model"], measured.get("summary", {})
    for metric, name, scale in (("fid", "fid", 1.0), ("kid", "kid_x1000", 1000.0)):
        network = next((key for key in model if key == metric or key.startswith(f"{metric}_")), None)
        if network is not None:
            suffix = network.removeprefix(metric).removeprefix("_")
            short = _SHORT.get(suffix, suffix)
            yield f"{name}_{short}".rstrip("_"), _rounded(scale * model[network]["value"])
        if f"{metric}_excess_ratio" in summary:
            yield f"{metric}_excess", _rounded(summary[f"{metric}_excess_ratio"])
    for names, name in (
        (("fcn_class_iou", "labels_class_iou"), "class_iou"),
        (("condition_accuracy",), "condition_accuracy"),
        (("condition_kept",), "condition_kept"),
        (("l1",), "l1"),
        (("ssim",), "ssim"),
        (("psnr_y",), "psnr_y"),
        (("modes",), "modes"),
        (("high_quality",), "high_quality"),
        (("mode_kl",), "mode_kl"),
    ):
        there = next((key for key in names if key in model), None)
        if there is not None:
            yield name, _rounded(model[there]["value"])


def _rounded(value: float) -> float:
    """Four digits: more tell nothing beside the interval."""
    return float(f"{value:.4g}")
