"""Intervals hold what they should hold, as often as they should."""

import numpy as np
import pytest
import torch

from components.evaluation.frechet import frechet
from components.evaluation.intervals import Figure, at_least, draws, linear_figure, mean_figure, percentile
from components.evaluation.kid import kid


def test_draws_are_seeded_and_of_full_size() -> None:
    counts = draws(30, 50, seed=3)
    assert counts.shape == (50, 30)
    assert bool((counts.sum(1) == 30).all())
    assert torch.equal(counts, draws(30, 50, seed=3))
    assert not torch.equal(counts, draws(30, 50, seed=4))


def test_a_mean_is_covered_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(400):
        values = torch.from_numpy(rng.exponential(size=60))
        figure = mean_figure(values, draws(60, 200, trial))
        assert figure.low <= figure.value <= figure.high
        held += figure.low <= 1.0 <= figure.high
    assert 0.89 <= held / 400 <= 0.98


def gaussians(rng: np.random.Generator, n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    spectrum = 1 / np.sqrt(np.arange(1, d + 1))
    real = rng.normal(size=(n, d)) * spectrum
    fake = 0.7 * real + 0.5 * rng.normal(size=(n, d)) * spectrum + 0.1
    return torch.from_numpy(fake), torch.from_numpy(real)


@pytest.mark.parametrize(("n", "d"), [(40, 90), (150, 10)])
def test_frechet_interval_covers_what_the_same_number_of_images_gives_on_average(n: int, d: int) -> None:
    rng = np.random.default_rng(1)
    trials = [gaussians(rng, n, d) for _ in range(80)]
    found = [frechet(*pair) for pair in trials]
    expected = np.mean([each.value for each in found])
    held = []
    for trial, each in enumerate(found):
        counts = draws(n, 200, trial)
        figure = linear_figure(each.value, (each.first, counts), (each.second, counts))
        assert figure.low <= figure.value <= figure.high
        held.append(figure.low <= expected <= figure.high)
    # with fewer images than dimensions the interval is on the safe side
    assert np.mean(held) >= 0.87


def test_resampling_the_distance_itself_would_miss_its_own_value() -> None:
    """Why the bootstrap is linearised: repeated images alone raise the distance."""
    fake, real = gaussians(np.random.default_rng(2), 60, 120)
    value = frechet(fake, real).value
    rng = np.random.default_rng(3)
    picks = [rng.integers(0, 60, 60) for _ in range(40)]
    replicates = torch.tensor([frechet(fake[pick], real[pick]).value for pick in picks])
    assert float(replicates.quantile(0.025)) > value


def test_kid_interval_is_centred_on_its_value() -> None:
    rng = np.random.default_rng(4)
    for trial in range(10):
        fake, real = gaussians(rng, 80, 20)
        counts = draws(80, 300, trial)
        figure = kid(fake, real, counts, counts, paired=True)
        assert figure.low < figure.value < figure.high
        middle = (figure.low + figure.high) / 2
        assert abs(middle - figure.value) < 0.25 * (figure.high - figure.low)


def test_nan_replicates_are_left_out_and_bounds_kept() -> None:
    figure = percentile(5.0, torch.tensor([1.0, 2.0, torch.nan]))
    assert (figure.low, figure.high) == (pytest.approx(1.025), 5.0)
    assert percentile(5.0, torch.tensor([torch.nan])) == Figure(5.0, 5.0, 5.0)
    assert at_least(0.0, Figure(1.0, -2.0, 3.0)).low == 0.0
    assert Figure(1.0, 0.5, 2.0, {"std": 0.1}).as_json() == {"value": 1.0, "low": 0.5, "high": 2.0, "std": 0.1}
