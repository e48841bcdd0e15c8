"""Points between bytes, networks and pictures."""

import numpy as np
import pytest
import torch

from components.faults import Fault
from components.samples.domain import Domain, bytes_of_points
from components.shards.tar import encode as encode_sample
from components.sources.points import PointsCut
from components.tasks.encoding import as_input, decode, render
from components.tasks.scatter import density_picture, scatter, side_by_side

RING = PointsCut(shape="ring").mixtures()["point"]
POINT = Domain(kind="point", mixture=RING)


def test_networks_see_the_values_and_give_them_back():
    points = np.array([[1.5, -2.25], [1e-3, 7]], np.float32)
    held = bytes_of_points(points)
    seen = as_input(POINT, torch.from_numpy(held))
    assert seen.shape == (2, 2, 1, 1)
    assert np.array_equal(seen.flatten(1).numpy(), points)
    assert np.array_equal(decode(POINT, seen), held)


def test_points_are_drawn_where_the_density_is():
    density = 255 - density_picture(RING, 240).min(axis=2).astype(int)
    points = 255 - scatter(RING, np.array(RING.centres, np.float32), 240).min(axis=2).astype(int)
    marks = 255 - render(POINT, bytes_of_points(np.array(RING.centres)))[:, :, :, 1].astype(int)
    assert (density[points > 0] > 40).mean() > 0.9  # each point covers the pixels around its own
    assert points.sum(axis=(0, 1)) > 0
    right = np.argmax(np.array(RING.centres)[:, 0])  # (2, 0): in the middle row, on the right
    rows, columns = np.nonzero(marks[right] > 200)
    assert abs(rows.mean() - 31.5) < 1
    assert columns.mean() > 45
    top = np.argmax(np.array(RING.centres)[:, 1])  # up is up
    assert np.nonzero(marks[top] > 200)[0].mean() < 20


def test_points_outside_are_left_out_of_a_scatter():
    far = np.array([[1e30, 0], [0, -50]], np.float32)
    assert (scatter(RING, far, 60) == 255).all()
    edge = 255 - scatter(RING, np.array([[0, 2.99]], np.float32), 60).min(axis=2).astype(int)
    assert edge[0].sum() > 0  # at the upper edge, and not at the lower one too
    assert edge[30:].sum() == 0
    both = side_by_side(scatter(RING, far, 60), density_picture(RING, 60), gap=4)
    assert both.shape == (60, 124, 3)


def test_a_point_that_is_not_finite_is_refused():
    with pytest.raises(Fault, match="sample a: point: a point whose values are not finite"):
        encode_sample("a", {"point": bytes_of_points(np.array([[0, np.nan]]))[0]}, {"point": POINT})


def test_a_domain_of_points_has_a_mixture_and_others_have_none():
    with pytest.raises(ValueError, match="mixture is the density of points"):
        Domain(kind="point")
    with pytest.raises(ValueError, match="mixture is the density of points"):
        Domain(kind="image", mixture=RING)
