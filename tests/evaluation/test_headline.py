"""The few metrics by which people compare runs."""

import json

from components.evaluation.headline import headline


def of(**model: float) -> dict:
    rows = {"model": {name: {"value": value} for name, value in model.items()}, "floor": {"fid": {"value": 1.0}}}
    return {"rows": rows, "summary": {"fid_excess_ratio": 0.51234567}}


def test_a_kid_has_a_fitting_unit_and_other_rows_stay_out():
    measured = of(kid_efficientnet_lite0=0.0052412, fid_efficientnet_lite0=75.0, fcn_class_iou=0.4, psnr=9.0)
    figures = headline({"a_to_b": measured})
    assert figures == {"fid_lite0": 75.0, "fid_excess": 0.5123, "kid_x1000_lite0": 5.241, "class_iou": 0.4}


def test_the_published_names_are_those_of_the_published_protocol():
    assert list(headline({"a_to_b": of(fid=3.0, kid=0.001)})) == ["fid", "fid_excess", "kid_x1000"]


def test_two_directions_are_told_apart_and_the_file_is_small():
    both = headline({"a_to_b": of(l1=1.0), "b_to_a": of(l1=2.0)})
    assert (both["l1"], both["b_to_a"]["l1"]) == (1.0, 2.0)
    names = [f"{name}_efficientnet_lite0" for name in ("fid", "kid", "inception_score")]
    names += ["fcn_class_iou", "fcn_legacy_class_iou", "fcn_pixel_accuracy", "l1", "ssim", "psnr"]
    everything = dict.fromkeys(names, 0.123456789)
    figures = headline({"a_to_b": of(**everything)})
    assert len(figures) <= 8
    assert all(len(json.dumps(value)) <= 6 for value in figures.values())
