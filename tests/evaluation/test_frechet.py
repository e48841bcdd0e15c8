"""The Fréchet distance against closed forms, the textbook formula, and its influences against recomputation."""

import numpy as np
import pytest
import torch
from scipy import linalg

from components.evaluation import frechet as module
from components.evaluation.frechet import frechet, frechet_distance
from components.faults import Fault


def correlated(seed: int, images: int, dimensions: int, rank: int | None = None) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    rank = dimensions if rank is None else rank
    mix = rng.normal(size=(rank, dimensions)) / np.sqrt(np.arange(1, rank + 1))[:, None]
    return torch.from_numpy(rng.normal(size=(images, rank)) @ mix + rng.normal(size=dimensions))


def textbook(x: torch.Tensor, y: torch.Tensor) -> float:
    """The formula as it is printed, by the general matrix square root."""
    a, b = x.double().numpy(), y.double().numpy()
    s1, s2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(s1 @ s2)
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real)


def exact_singular(x: torch.Tensor, y: torch.Tensor) -> float:
    """The same for singular covariances, where sqrtm loses digits: roots from the data's own factors."""
    a, b = (z.double().numpy() - z.double().numpy().mean(0) for z in (x, y))
    (_, s1, v1), (_, s2, v2) = (linalg.svd(z, full_matrices=False, lapack_driver="gesvd") for z in (a, b))
    overlap = (s1[:, None] * (v1 @ v2.T)) * s2 / np.sqrt((len(a) - 1) * (len(b) - 1))
    root = linalg.svd(overlap, compute_uv=False, lapack_driver="gesvd").sum()
    shift = (x.double().mean(0) - y.double().mean(0)).numpy()
    spread = (a**2).sum() / (len(a) - 1) + (b**2).sum() / (len(b) - 1)
    return float(shift @ shift + spread - 2 * root)


def with_moments(mean: list[float], deviations: list[float]) -> torch.Tensor:
    """Points whose sample mean is `mean` and whose covariance is exactly diag(deviations²)."""
    d = len(mean)
    corners = torch.cat([torch.eye(d), -torch.eye(d)]).double() * ((2 * d - 1) / 2) ** 0.5
    return corners * torch.tensor(deviations).double() + torch.tensor(mean).double()


def test_two_gaussians_with_known_moments() -> None:
    a, b = with_moments([0, 0, 0], [1, 2, 3]), with_moments([3, 4, 0], [2, 2, 1])
    expected = 25 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("images", "dimensions"), [(30, 80), (300, 40)])
def test_a_set_is_at_no_distance_from_itself(images: int, dimensions: int) -> None:
    x = correlated(0, images, dimensions)
    assert frechet_distance(x, x.clone()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 40), (60, 45, 50), (41, 200, 40)])
def test_textbook_formula(n: int, m: int, d: int) -> None:
    x, y = correlated(1, n, d), correlated(2, m, d)
    assert frechet_distance(x, y) == pytest.approx(textbook(x, y), rel=1e-6)


@pytest.mark.parametrize(
    ("n", "m", "d", "rank"), [(20, 25, 60, 60), (30, 500, 64, 64), (300, 300, 64, 10), (30, 30, 64, 5)]
)
def test_singular_covariances(n: int, m: int, d: int, rank: int) -> None:
    x, y = correlated(3, n, d, rank), correlated(4, m, d, rank)
    assert frechet_distance(x, y) == pytest.approx(exact_singular(x, y), rel=1e-6)
    # the general root is itself unsure of singular matrices; it must still see the same number
    assert frechet_distance(x, y) == pytest.approx(textbook(x, y), rel=1e-4)


@pytest.mark.parametrize("rank", [24, 6])
def test_both_ways_agree(rank: int) -> None:
    x, y = correlated(5, 120, 24, rank), correlated(6, 90, 24, rank)
    means = [x.mean(0), y.mean(0)]
    (trace, pulls), (other, others) = (way(x, y, means, True) for way in (module._from_data, module._from_covariances))
    torch.testing.assert_close((trace, *pulls), (other, *others), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("d", [8, 64])
def test_how_many_images_are_in_memory_changes_nothing(d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = correlated(5, 30, d), correlated(6, 25, d)
    whole = module.frechet(x, y)
    monkeypatch.setattr(module, "_ROWS", 7)
    monkeypatch.setattr(module, "_BLOCK", 3)
    assert frechet_distance(x, y) == pytest.approx(whole.value, rel=1e-9)
    torch.testing.assert_close(tuple(module.frechet(x, y)), tuple(whole), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 90, 64), (90, 80, 64)])
@pytest.mark.parametrize("noise", [1.0, 1e-3, 1e-7, 0.0])
def test_the_distance_alone_is_the_same_however_near_to_singular_the_covariances_are(n, m, d, noise) -> None:
    x, y = correlated(12, n, d, 10), correlated(13, m, d, 10)
    for z in (x, y):
        z += noise * torch.randn(z.shape, generator=torch.Generator().manual_seed(len(z)), dtype=z.dtype)
    both = frechet(x, y)
    assert frechet_distance(x, y) == pytest.approx(both.value, rel=1e-6)
    assert both.value == pytest.approx(exact_singular(x, y), rel=1e-6)
    assert both.first.isfinite().all()
    assert abs(float(both.first.sum())) < 1e-6 * float(both.first.abs().sum())


def test_flat_pictures_have_no_spread() -> None:
    x, y = torch.ones(5, 8), correlated(7, 6, 8)
    spread = float(y.var(0).sum())
    shift = float((1 - y.mean(0)).square().sum())
    assert frechet_distance(x, y) == pytest.approx(shift + spread, rel=1e-9)


def test_when_the_svd_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = correlated(8, 20, 60), correlated(9, 30, 60)
    expected = frechet(x, y)

    def fail(*args: object, **kwargs: object) -> None:
        raise torch._C._LinAlgError("did not converge")

    monkeypatch.setattr(torch.linalg, "svd", fail)
    found = frechet(x, y)
    assert found.value == pytest.approx(expected.value, rel=1e-6)
    torch.testing.assert_close(found.second, expected.second, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("n", "d"), [(40, 90), (400, 12)])
def test_influence_is_the_derivative_by_an_images_weight(n: int, d: int) -> None:
    x, y = correlated(10, n, d), correlated(11, n, d)
    found = frechet(x, y)
    step = 1e-5

    def weighted(i: int, h: float) -> float:
        """The distance where image i weighs 1 + h and the others lose as much together."""
        w = np.full(n, 1 / n)
        w[i] += h / n
        w /= w.sum()
        a = x.double().numpy()
        mean = w @ a
        a = (a - mean) * np.sqrt(w * n)[:, None]
        b = y.double().numpy()
        b = b - b.mean(0)
        root = linalg.svd(a @ b.T / (n - 1), compute_uv=False).sum()
        shift = mean - y.double().numpy().mean(0)
        return float(shift @ shift + (a**2).sum() / (n - 1) + (b**2).sum() / (n - 1) - 2 * root)

    for i in (0, 7, n - 1):
        slope = (weighted(i, step) - weighted(i, -step)) / (2 * step)
        assert float(found.first[i]) / n == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_faults_name_what_is_wrong() -> None:
    with pytest.raises(Fault, match="at least 2"):
        frechet_distance(torch.zeros(1, 4), torch.zeros(3, 4))
    with pytest.raises(Fault, match="finite"):
        frechet_distance(torch.full((3, 4), torch.nan), torch.zeros(3, 4))
