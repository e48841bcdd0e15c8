"""Means over seeds, their intervals, and what two of them say beside each other."""

import math

import pytest

from components.tables.compare import Estimate, estimate, verdict


def test_an_interval_is_students_over_the_seeds():
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # t of 2 degrees of freedom, s = 1
    assert estimate([0.1, 0.1]).half == 0
    assert estimate([5.0]) == Estimate(5.0, None, 1)


@pytest.mark.parametrize(
    ("figure", "better", "worse", "expected"),
    [
        ("fcn_class_iou", 0.5, 0.2, "holds"),
        ("fcn_class_iou", 0.2, 0.5, "does not hold"),
        ("fid_efficientnet_lite0", 20, 50, "holds"),
        ("kid_efficientnet_lite0", 0.5, 0.2, "does not hold"),
        ("l1", 3, 9, "holds"),
        ("psnr", 30, 20, "holds"),
        ("labels_class_iou", 0.5, 0.2, "holds"),
    ],
)
def test_an_ordering_is_told_when_intervals_are_apart(figure, better, worse, expected):
    pair = (Estimate(value, 0.05, 3) for value in (better, worse))
    assert verdict(figure, *pair)[0] == expected


def test_overlap_and_single_seeds_tell_nothing():
    assert verdict("fcn_class_iou", Estimate(0.5, 0.2, 3), Estimate(0.4, 0.01, 3)) == (
        "cannot be told",
        "intervals overlap",
    )
    assert verdict("fcn_class_iou", Estimate(0.9, None, 1), Estimate(0.1, 0.01, 3))[0] == "cannot be told"
