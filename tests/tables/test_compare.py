"""Means over seeds, their intervals, and what two of them say beside each other."""

import math

import numpy as np
import pytest
from scipy import stats

from components.tables.compare import difference, estimate, holm, verdict

BY_PAIRS, BY_ROWS = "by pairs of equal seeds", "by two rows of seeds"


def of(*values: float):
    return estimate(dict(enumerate(values)))


def test_an_interval_is_students_over_the_seeds():
    found = of(1.0, 2.0, 3.0)
    assert found.mean == 2
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # t of 2 degrees of freedom, s = 1
    assert of(0.1, 0.1).half == 0
    alone = estimate({7: 5.0})
    assert (alone.mean, alone.half, alone.seeds, alone.values) == (5.0, None, 1, {7: 5.0})


def test_pairs_are_taken_where_a_seed_moves_both_rows_alike():
    first, second = (1.0, 2.0, 3.0, 5.0), (0.6, 1.5, 2.7, 4.4)
    found = difference(of(*first), of(*second))
    paired = stats.ttest_rel(first, second)
    low, high = paired.confidence_interval(0.975)
    assert (found.way, found.mean) == (BY_PAIRS, pytest.approx(0.45))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.p == pytest.approx(2 * paired.pvalue)


def test_two_rows_are_taken_where_seeds_have_nothing_in_common():
    first, second = (1.0, 2.0, 3.0, 5.0), (14.4, 12.7, 11.5, 10.6)
    found = difference(of(*first), of(*second))
    welch = stats.ttest_ind(first, second, equal_var=False)
    low, high = welch.confidence_interval(0.975)
    assert found.way == BY_ROWS
    assert (found.low, found.high, found.p) == (
        pytest.approx(low),
        pytest.approx(high),
        pytest.approx(2 * welch.pvalue),
    )
    others = difference(of(*first), estimate({10 + seed: value for seed, value in enumerate(second)}))
    low, high = welch.confidence_interval(0.95)  # no pairs, so one interval alone, and nothing to widen
    assert (others.way, others.low, others.high) == (BY_ROWS, pytest.approx(low), pytest.approx(high))


def test_a_single_seed_tells_nothing_and_counts_that_differ_by_one_are_no_proof():
    assert difference(of(1.0), of(1.0, 2.0)) is None
    modes = difference(of(8, 7, 8), of(7, 6, 7))
    assert modes.way == BY_ROWS
    assert modes.low < 1 < modes.high
    assert difference(of(8, 8), of(5, 5)).p == 0
    assert difference(of(8, 8), of(8, 8)).p == 1


def test_p_is_below_005_where_the_interval_leaves_out_0():
    rng, told = np.random.default_rng(0), 0
    for seeds in (2, 3, 8):
        for _ in range(40):
            found = difference(of(*rng.normal(size=seeds)), of(*rng.normal(1, 0.5, size=seeds)))
            assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
            told += found.p < 0.05
    assert 0 < told < 120


def test_holm_corrects_as_published():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("figure", "apart", "p", "expected"),
    [
        ("fcn_class_iou", 0.3, 0.01, "holds"),
        ("fcn_class_iou", -0.3, 0.01, "does not hold"),
        ("fcn_class_iou", 0.3, 0.06, "cannot be told"),
        ("fid_efficientnet_lite0", -30, 0.01, "holds"),
        ("best_fid_efficientnet_lite0", -30, 0.01, "holds"),  # of the best checkpoint
        ("kid_efficientnet_lite0", 0.3, 0.01, "does not hold"),
        ("l1", -6, 0.01, "holds"),
        ("psnr", 10, 0.01, "holds"),
        ("labels_class_iou", 0.3, 0.01, "holds"),
    ],
)
def test_an_ordering_is_told_by_the_sign_where_p_is_small(figure, apart, p, expected):
    assert verdict(figure, apart, p) == expected
