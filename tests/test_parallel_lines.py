"""Discriminators trained on two parallel lines say what the closed forms say."""

import json
import math

import pytest
import torch
from PIL import Image

from benchmarks import parallel_lines
from benchmarks.parallel_lines import LOG2, said, train


@pytest.fixture(autouse=True)
def one_thread():
    """The networks are so small that threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_lines_that_share_no_point_are_log_2_apart_however_near():
    for theta in (0.5, 1.0):
        found = said(theta, steps=300)
        assert found.jensen_shannon == pytest.approx(math.log(2), abs=0.03)
        assert found.gan_loss == pytest.approx(2 * LOG2 - 2 * found.jensen_shannon)
        # A slope s gains s * theta and costs 10 (s - 1)²: the best is 1 + theta / 20.
        assert found.wasserstein == pytest.approx(theta * (1 + theta / 20), abs=0.02)


def test_one_line_is_at_no_distance_from_itself():
    found = said(0.0, steps=100)
    assert found.gan_loss == pytest.approx(2 * LOG2, abs=0.01)
    assert found.jensen_shannon == pytest.approx(found.true_jensen_shannon, abs=0.005)
    assert found.wasserstein == pytest.approx(0, abs=0.03)  # of 4,096 points of either line


def test_a_critic_that_has_not_learned_does_not_know_the_distance():
    assert abs(-train("wgan_gp", 1.0, steps=1) - 1.05) > 0.3


def test_the_command_writes_table_plot_and_figures(tmp_path):
    parallel_lines.main(["--steps", "2", "--thetas", "0", "1", "--out", str(tmp_path)])
    held = json.loads((tmp_path / "parallel_lines.json").read_text(encoding="utf-8"))
    assert [(one["theta"], one["true_wasserstein"]) for one in held["lines"]] == [(0, 0), (1, 1)]
    assert [one["true_jensen_shannon"] for one in held["lines"]] == [0, pytest.approx(0.6931, abs=1e-4)]
    lines = (tmp_path / "parallel_lines.md").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 4
    with Image.open(tmp_path / "parallel_lines.png") as picture:
        assert picture.size == (960, 384)
    with pytest.raises(SystemExit):
        parallel_lines.main(["--thetas", "-1"])
