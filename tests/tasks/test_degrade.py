"""What each derivation does to a picture, where that can be said in closed form."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from components.tasks.degrade import FILL, blurred, edges, enlarged, filled, grey, small
from components.tasks.holes import box_hole, free_form_hole
from tests.conftest import tiny_sample


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(colour, height=24, width=32):
    return np.full((height, width, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("colour", "level"),
    [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((9, 9, 9), 9), ((100, 50, 200), 82)],
)
def test_grey_is_the_weighted_sum_of_itu_601(colour, level):
    assert round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) == level
    assert (grey(flat(colour)) == level).all()


def test_a_step_is_one_line_black_on_white():
    photo = flat(20)
    photo[:, 15], photo[:, 16:] = 120, 220
    drawn = edges(photo, 0.1, 0.2, 1.0)
    lines = (drawn == 0).all(axis=2)
    assert ((drawn == 0) | (drawn == 255)).all()
    assert lines[1:-1, 15].all()  # the detector knows no edge at the picture's rim
    assert lines.sum() == lines[:, 15].sum()


def test_a_line_needs_one_point_above_high_and_all_above_low():
    """Half a step from black to white: its slope lies between 0.5 and 2 after the smoothing, a whole one's above."""
    photo = flat(0)
    photo[:, 15], photo[:, 16:] = 64, 128
    assert (edges(photo, 0.5, 0.5, 1.0) == 0).any()
    assert not (edges(photo, 0.5, 2.0, 1.0) == 0).any()
    photo[0:8, 15], photo[0:8, 16:] = 128, 255
    followed = (edges(photo, 0.5, 2.0, 1.0) == 0).all(axis=2)[:, 15]
    assert followed[12:-1].all()  # from the whole step down into the half one
    assert not (edges(photo, 2.0, 2.0, 1.0) == 0).all(axis=2)[12:-1, 15].any()


def test_smoothing_takes_the_small_lines_away():
    photo = tiny_sample(3, 64)["photo"]
    counts = [int((edges(photo, 0.1, 0.2, sigma)[:, :, 0] == 0).sum()) for sigma in (0.5, 1.0, 3.0)]
    assert counts[0] > counts[1] > counts[2] > 0
    assert (edges(flat((9, 90, 200)), 0.1, 0.2, 1.0) == 255).all()


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_shrinking_keeps_what_is_flat_and_takes_what_is_finer_than_a_pixel(factor):
    assert np.array_equal(small(flat((3, 90, 201)), factor), flat((3, 90, 201), 24 // factor, 32 // factor))
    assert np.array_equal(enlarged(small(flat((3, 90, 201)), factor), factor), flat((3, 90, 201)))
    stripes = flat(0, 32, 32)
    stripes[:, ::2] = 200
    assert small(stripes, factor).shape == (32 // factor, 32 // factor, 3)
    inside = enlarged(small(stripes, factor), factor)[:, 8:-8].astype(int)
    assert abs(inside - 100).max() <= (25 if factor == 2 else 8)  # without antialiasing: all 0 or all 200
    photo = tiny_sample(1)["photo"]
    assert not np.array_equal(enlarged(small(photo, factor), factor), photo)


def test_a_blur_spreads_a_point_as_a_gaussian_and_keeps_what_is_flat():
    photo = flat(0, 31, 31)
    photo[15, 15, 1] = 255
    soft = blurred(photo, 1.0, 0, rng()).astype(int)
    x = np.arange(-15, 16)
    bell = np.exp(-(x**2) / 2) / np.exp(-(x**2) / 2).sum()
    np.testing.assert_allclose(soft[:, :, 1], 255 * np.outer(bell, bell), atol=0.6)
    assert (soft[:, :, [0, 2]] == 0).all()
    assert np.array_equal(blurred(flat((3, 90, 201)), 2.5, 0, rng()), flat((3, 90, 201)))


def test_noise_has_the_spread_that_was_asked_for():
    noisy = blurred(flat(128, 100, 100), 1.0, 6.0, rng()).astype(float)
    assert noisy.std() == pytest.approx(6, rel=0.03)
    assert noisy.mean() == pytest.approx(128, abs=0.2)
    assert abs(np.corrcoef(noisy[:, :, 0].ravel(), noisy[:, :, 1].ravel())[0, 1]) < 0.05
    bright = blurred(flat(250, 100, 100), 1.0, 20.0, rng())
    assert bright.max() == 255
    assert bright.min() > 100  # clipped, not wrapped round


def test_a_box_of_a_quarter_is_half_as_high_and_half_as_wide():
    for seed in range(8):
        hole = box_hole((24, 32), (0.25, 0.25), rng(seed))
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == len(rows) * len(columns) == 12 * 16
        assert (len(rows), rows[-1] - rows[0]) == (12, 11)


def test_boxes_are_of_every_size_that_is_allowed_and_anywhere():
    holes = np.stack([box_hole((64, 64), (0.1, 0.3), rng(seed)) for seed in range(300)])
    shares = holes.mean(axis=(1, 2))
    rounding = 2 * 0.5 / 64 + 1e-3  # of a side, twice
    assert 0.1 - rounding <= shares.min() < 0.12
    assert 0.28 < shares.max() <= 0.3 + rounding
    assert holes.any(axis=(0, 1)).all()  # every column is in some hole
    assert holes.any(axis=(0, 2)).all()  # and every row
    assert box_hole((8, 8), (1e-6, 1e-6), rng()).sum() == 1


@pytest.mark.parametrize("size", [(64, 64), (32, 96)])
def test_strokes_cover_the_share_to_the_pixel(size):
    exact = [free_form_hole(size, (0.2, 0.2), rng(seed)).sum() for seed in range(20)]
    assert set(exact) == {-(-size[0] * size[1] // 5)}
    holes = np.stack([free_form_hole(size, (0.1, 0.3), rng(seed)) for seed in range(60)])
    shares = holes.mean(axis=(1, 2))
    assert 0.1 <= shares.min() < 0.13
    assert 0.27 < shares.max() <= 0.3 + 1 / holes[0].size
    assert holes.any(axis=0).mean() > 0.95
    boxes = [np.flatnonzero(hole.any(1)).size * np.flatnonzero(hole.any(0)).size for hole in holes]
    assert np.mean(holes.sum(axis=(1, 2)) / boxes) < 0.7  # strokes, not boxes


def test_a_stroke_is_narrower_than_a_box_of_the_same_share():
    """The distance from the hole's rim to its innermost pixel: what a network has to bridge."""
    depth = {
        hole: np.mean([distance_transform_edt(hole((128, 128), (0.15, 0.15), rng(seed))).max() for seed in range(10)])
        for hole in (box_hole, free_form_hole)
    }
    assert 2 < depth[free_form_hole] < 0.6 * depth[box_hole]


def test_a_hole_is_mean_grey_and_the_rest_as_it_was():
    photo = tiny_sample(2)["photo"]
    hole = box_hole((32, 32), (0.2, 0.2), rng())
    masked = filled(photo, hole)
    assert (masked[hole] == FILL).all()
    assert np.array_equal(masked[~hole], photo[~hole])
    assert masked.dtype == np.uint8
