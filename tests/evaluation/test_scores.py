"""KID, Inception Score, FCN-score and the figures by pixel, against naive loops and closed forms."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from components.evaluation.fcn_score import confusions, corrected, fcn_figures, legacy, spill
from components.evaluation.inception_score import inception_score
from components.evaluation.intervals import draws
from components.evaluation.kid import kid
from components.evaluation.pixels import l1, luma, psnr, ssim
from components.faults import Fault


def naive_kid(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    xx = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    yy = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    return float(np.mean(xx) + np.mean(yy) - 2 * np.mean([k(a, b) for a in x for b in y]))


@pytest.mark.parametrize("paired", [False, True])
def test_kid_is_the_naive_double_loop(paired: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.evaluation.kid._ROWS", 7)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(19, 6)), rng.normal(size=(19, 6)) + 0.3
    w = draws(19, 40, 0)
    figure = kid(torch.from_numpy(x), torch.from_numpy(y), w, w if paired else draws(19, 40, 1), paired)
    assert figure.value == pytest.approx(naive_kid(x, y), rel=1e-12)


def test_kid_of_a_large_set_is_the_mean_over_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(rng.normal(size=(n, 6))) for n in (20, 31))
    u, v = draws(20, 40, 0), draws(31, 40, 1)
    cut = zip(x.tensor_split(3), y.tensor_split(3), u.tensor_split(3, 1), v.tensor_split(3, 1), strict=True)
    parts = [kid(a, b, p, q, False) for a, b, p, q in cut]
    monkeypatch.setattr("components.evaluation.kid._LARGEST", 11)
    figure = kid(x, y, u, v, False)
    assert figure.value == pytest.approx(np.mean([part.value for part in parts]), rel=1e-12)
    assert figure.low < figure.value < figure.high
    assert "3" in str(figure.notes["parts"])
    assert kid(x[:4], y, u[:, :4], v, False).notes["parts"].startswith("the mean over 2")  # two images a part


def test_kid_is_unbiased() -> None:
    rng = np.random.default_rng(1)
    w = draws(12, 40, 0)
    values = [
        kid(*(torch.from_numpy(rng.normal(size=(12, 5))) for _ in range(2)), w, w, False).value for _ in range(600)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(600)


def test_inception_score_of_sure_and_even_classes_is_their_number() -> None:
    logs = torch.eye(4).repeat(10, 1).log()
    assert inception_score(logs, draws(40, 50, 0), splits=1, seed=0).value == pytest.approx(4)


def test_inception_score_of_the_undecided_is_one() -> None:
    figure = inception_score(torch.full((40, 8), 1 / 8).log(), draws(40, 50, 0), splits=10, seed=0)
    assert (figure.value, figure.low, figure.notes["std"]) == (pytest.approx(1), 1.0, pytest.approx(0, abs=1e-12))


def test_inception_score_by_the_formula_split_by_split() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(5) * 0.3, size=37)
    order = np.random.RandomState(7).permutation(37)
    parts = [p[order][i * 37 // 10 : (i + 1) * 37 // 10] for i in range(10)]
    scores = [np.exp((part * np.log(part / part.mean(0))).sum(1).mean()) for part in parts]
    figure = inception_score(torch.from_numpy(p).log(), draws(37, 200, 0), splits=10, seed=7)
    assert figure.value == pytest.approx(np.mean(scores), rel=1e-9)
    assert figure.notes["std"] == pytest.approx(np.std(scores), rel=1e-9)
    assert 1 <= figure.low < figure.value < figure.high
    assert inception_score(torch.from_numpy(p[:3]).log(), draws(3, 50, 0), splits=10, seed=7).value >= 1


CLASSES, OUTPUTS = 5, 6


def labels(seed: int, outputs: int = OUTPUTS) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES - 1, (6, 9, 7))  # the last class is absent
    truth[:, 0] = 255  # void
    guess = np.where(rng.random(truth.shape) < 0.5, truth % CLASSES, rng.integers(0, outputs, truth.shape))
    return truth.astype(np.uint8), guess.astype(np.uint8)


def legacy_loop(truth: np.ndarray, guess: np.ndarray) -> tuple[float, float, float]:
    """Pixel by pixel as the first release's script counts, with its row spill and its dropped images."""
    hist = np.zeros(CLASSES * CLASSES)
    for a_image, b_image in zip(truth, guess, strict=True):
        bins = np.zeros(CLASSES * CLASSES + OUTPUTS)
        for a, b in zip(a_image.ravel().tolist(), b_image.ravel().tolist(), strict=True):
            if a < CLASSES:
                bins[CLASSES * a + b] += 1
        if not bins[CLASSES * CLASSES :].any():
            hist += bins[: CLASSES * CLASSES]
    table = hist.reshape(CLASSES, CLASSES)
    hits, rows, columns = np.diag(table), table.sum(1), table.sum(0)
    return (
        hits.sum() / (table.sum() + 1e-12),
        float(np.mean(hits / (rows + 1e-12))),
        float(np.mean(hits / (rows + columns - hits + 1e-12))),
    )


def test_legacy_arithmetic_is_the_scripts() -> None:
    truth, guess = labels(3)
    truth[2, 1, 1], guess[2, 1, 1] = CLASSES - 1, CLASSES  # spills past the last row: the image is dropped
    counts = confusions(torch.from_numpy(truth), torch.from_numpy(guess), CLASSES, OUTPUTS)
    scores = legacy(spill(counts).sum(0))
    found = (float(scores.pixel_accuracy), float(scores.class_accuracy), float(scores.class_iou))
    assert found == pytest.approx(legacy_loop(truth, guess), rel=1e-12)


def test_corrected_leaves_absent_classes_out_and_spills_nothing() -> None:
    truth, guess = labels(4)
    scores = corrected(confusions(torch.from_numpy(truth), torch.from_numpy(guess), CLASSES, OUTPUTS).sum(0))
    valid = truth < CLASSES
    t, g = truth[valid], guess[valid]
    accuracy = [(g[t == c] == c).mean() for c in range(CLASSES - 1)]
    iou = [((t == c) & (g == c)).sum() / ((t == c) | (g == c)).sum() for c in range(CLASSES - 1)]
    assert float(scores.pixel_accuracy) == pytest.approx((t == g).mean())
    assert float(scores.class_accuracy) == pytest.approx(np.mean(accuracy))
    assert float(scores.class_iou) == pytest.approx(np.mean(iou))
    assert bool(scores.iou_per_class[-1].isnan())


def test_legacy_and_corrected_agree_where_all_classes_are_there() -> None:
    rng = np.random.default_rng(5)
    truth = torch.from_numpy(rng.integers(0, 4, (3, 16, 16)))
    guess = torch.from_numpy(rng.integers(0, 4, (3, 16, 16)))
    counts = confusions(truth, guess, 4, 4)
    a, b = legacy(spill(counts).sum(0)), corrected(counts.sum(0))
    torch.testing.assert_close(a.iou_per_class, b.iou_per_class)
    torch.testing.assert_close(a.class_accuracy, b.class_accuracy)


def test_fcn_figures_have_intervals_and_names() -> None:
    truth, guess = (torch.from_numpy(x) for x in labels(6))
    counts = confusions(truth, guess, CLASSES, OUTPUTS)
    figures = fcn_figures(counts, ("a", "b", "c", "d", "absent"), draws(6, 60, 0), "fcn")
    assert set(figures) == {
        f"fcn_{kind}{name}" for kind in ("", "legacy_") for name in ("pixel_accuracy", "class_accuracy", "class_iou")
    } | {"fcn_iou_per_class"}
    per_class = figures.pop("fcn_iou_per_class")
    assert list(per_class) == ["a", "b", "c", "d"]
    for figure in [*figures.values(), *per_class.values()]:
        assert 0 <= figure.low <= figure.value <= figure.high <= 1


def test_a_prediction_outside_the_classes_is_a_fault() -> None:
    with pytest.raises(Fault, match="label 7 is outside the 5 classes"):
        confusions(torch.zeros(1, 2, 2), torch.full((1, 2, 2), 7), 5, 5)


def pictures(seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))


def test_pixel_figures_of_equal_pictures_are_their_best() -> None:
    x = pictures(0)
    assert l1(x, x).tolist() == [0, 0, 0]
    torch.testing.assert_close(ssim(x, x), torch.ones(3, dtype=torch.float64))
    assert psnr(x, x).tolist() == pytest.approx([10 * np.log10(255**2 * 16 * 16 * 3)] * 3)


def test_pixel_figures_by_their_formulas() -> None:
    x, y = pictures(1), pictures(2)
    a, b = x.numpy().astype(float), y.numpy().astype(float)
    assert l1(x, y).tolist() == pytest.approx(np.abs(a - b).mean((1, 2, 3)).tolist())
    mse = ((a - b) ** 2).mean((1, 2, 3))
    assert psnr(x, y).tolist() == pytest.approx((10 * np.log10(255**2 / mse)).tolist(), rel=1e-6)
    assert bool((ssim(x, y).abs() < 0.5).all())
    together, alone = ssim(x, y), torch.cat([ssim(x[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("noise", [0, 3, 40])
def test_ssim_is_torchmetrics(noise: int) -> None:
    rng = np.random.default_rng(noise)
    smooth = np.cumsum(rng.integers(-9, 10, (2, 30, 41, 3)), axis=2) + 128
    x = torch.from_numpy(smooth.clip(0, 255).astype(np.uint8))
    y = torch.from_numpy((smooth + rng.normal(0, noise, smooth.shape)).clip(0, 255).astype(np.uint8))
    a, b = (z.permute(0, 3, 1, 2).double() for z in (x, y))
    expected = structural_similarity_index_measure(a, b, data_range=255.0, reduction="none")
    torch.testing.assert_close(ssim(x, y), expected, rtol=1e-9, atol=1e-9)


def test_ssim_needs_a_window() -> None:
    x = pictures(3)[:, :8, :8]
    with pytest.raises(Fault, match="SSIM needs pictures of 11 pixels"):
        ssim(x, x)


def test_luma_by_hand() -> None:
    """Y of white is 235, of black 16, of pure red, green and blue 81.481, 144.553 and 40.966."""
    colours = [[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    row = torch.tensor(colours, dtype=torch.uint8)[None, None].expand(2, 3, 5, 3)
    assert luma(row, 0)[1, 2, :, 0].tolist() == pytest.approx([235, 16, 81.481, 144.553, 40.966])
    assert luma(row, 1).shape == (2, 1, 3, 1)
    assert luma(row, 1)[0, 0, :, 0].tolist() == pytest.approx([16, 81.481, 144.553])
    with pytest.raises(Fault, match="a border of 2 pixels leaves nothing of pictures of 3x5"):
        luma(row, 2)


def test_psnr_on_luma_leaves_the_border_off() -> None:
    """Green off by 10 moves Y by 1285.53 / 255; what is wrong within the border counts for nothing."""
    real = torch.full((1, 20, 20, 3), 100, dtype=torch.uint8)
    made = real.clone()
    made[:, 4:-4, 4:-4, 1] += 10
    made[:, :4] = 255
    expected = 20 * np.log10(255 / (128.553 * 10 / 255))
    assert psnr(luma(made, 4), luma(real, 4)).tolist() == pytest.approx([expected])
    assert psnr(luma(made, 0), luma(real, 0)).item() < expected


def test_ssim_within_the_picture_by_hand() -> None:
    """One window: of two flat pictures SSIM is the part of the means alone, (2 a b + C1) / (a^2 + b^2 + C1)."""
    a, b = (torch.full((1, 11, 11, 1), value, dtype=torch.float64) for value in (100.0, 130.0))
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 130 + c1) / (100**2 + 130**2 + c1)
    assert ssim(a, b, reflect=False).item() == pytest.approx(expected)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 20, (2, 24, 26, 1)))
    x, y = 120 + noise[:1], 120 + noise[1:]
    pair = (z.permute(0, 3, 1, 2) for z in (x, y))
    # torchmetrics' map has all windows, those that reach over the edges too.
    _, windows = structural_similarity_index_measure(*pair, data_range=255.0, return_full_image=True)
    inner = windows[:, :, 5:-5, 5:-5]
    assert inner.shape == (1, 1, 14, 16)
    assert ssim(x, y, reflect=False).item() == pytest.approx(inner.mean().item(), rel=1e-6)
