"""The whole table on tiny shards: rows, what each has, protocol, faults, and the other directions."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import Evaluation, evaluate
from components.evaluation.intervals import draws, mean_figure
from components.evaluation.protocol import Protocol, require_comparable
from components.evaluation.rows import build_rows, derangement, flat_painter
from components.faults import Fault
from components.review.config import figure_names
from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from components.storage.files import write_json
from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.judge import Judge, JudgeCard, load_judge
from components.systems.system import Shape
from tests.conftest import TO_LABELS, TO_PHOTO

CONFIG = EvaluateConfig(num_bootstrap=60)
NETWORK = "efficientnet_lite0"
Edit = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def splits(tiny_shards: Path) -> tuple[Split, Split]:
    return Split(tiny_shards, "train"), Split(tiny_shards, "test")


@pytest.fixture(scope="module")
def judge(splits: tuple[Split, Split]) -> Judge:
    """An untrained judge: its labels are wrong, its figures are figures all the same."""
    train = splits[0]
    shape = Shape(train.domains["photo"], train.domains["labels"])
    torch.manual_seed(0)
    config = FCN8sConfig(width=4)
    card = JudgeCard(
        system=config,
        source=shape.source,
        target=shape.target,
        task=TO_LABELS,
        manifest="0",
        key="k",
        weights_sha256="s",
        ceiling={},
    )
    return Judge(card, fcn8s(config, shape).networks["segmenter"])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of the real pictures, shared by the tests."""
    return tmp_path_factory.mktemp("features")


def generate(folder: Path, test: Split, target: str, edit: Edit, keys: list[str] | None = None) -> Split:
    """A generated split: each true picture of the test split after `edit`."""
    made = [edit(test.picture(i, target)) for i in range(len(test))]
    samples = zip(keys or test.keys, ({target: picture} for picture in made), strict=True)
    domains = {target: test.domains[target]}
    write_set(folder, "generated", sized(domains, made[0].shape[:2]), Task(target=target), {"test": list(samples)})
    return Split(folder, "test")


def noisy(picture: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(int(picture.sum())).normal(0, 20, picture.shape)
    return (picture + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def done(splits: tuple[Split, Split], judge: Judge, kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("made") / "generated"
    generated = generate(folder, splits[1], "photo", noisy)
    return evaluate(CONFIG, *splits, generated, TO_PHOTO, judge, kept)


def test_each_row_has_the_figures_that_mean_something_there(done: Evaluation) -> None:
    rows = done.metrics["rows"]
    fcn = {f"fcn_{k}{n}" for k in ("", "legacy_") for n in ("pixel_accuracy", "class_accuracy", "class_iou")}
    fcn |= {"fcn_iou_per_class"}
    distances = {f"fid_{NETWORK}", f"kid_{NETWORK}"}
    scores = {f"inception_score_{NETWORK}", "inception_score_judge"}
    pixels = {"l1", "psnr", "ssim"}
    every = fcn | distances | scores | pixels
    assert {name: set(row) for name, row in rows.items()} == {
        "model": every,
        "real": fcn | scores,
        "floor": distances,
        "mean_colour": every,
        "mismatched": fcn | pixels,
        "input": every,
    }
    assert "skipped" not in done.metrics


def figures(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [*(v for k, v in row.items() if k != "fcn_iou_per_class"), *row.get("fcn_iou_per_class", {}).values()]


def test_intervals_hold_their_values_and_all_is_json(done: Evaluation, tmp_path: Path) -> None:
    for row in done.metrics["rows"].values():
        for figure in figures(row):
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert math.isfinite(figure["high"] - figure["low"])
    write_json(tmp_path / "metrics.json", done.metrics)
    note = done.metrics["rows"]["model"][f"fid_{NETWORK}"]["note"]
    assert note == "biased: 8 images for 1280 dimensions"


def test_pixels_order_the_rows_as_eyes_do(done: Evaluation) -> None:
    rows = done.metrics["rows"]
    l1 = {name: rows[name]["l1"]["value"] for name in ("model", "mean_colour", "mismatched")}
    assert l1["mean_colour"] < l1["model"] < l1["mismatched"]  # noise of 20 against texture of 8
    assert 14 < l1["model"] < 18


def test_summary_is_the_excess_over_the_floor(done: Evaluation) -> None:
    rows, name = done.metrics["rows"], f"fid_{NETWORK}"
    model, floor, painter = (rows[row][name]["value"] for row in ("model", "floor", "mean_colour"))
    assert done.metrics["summary"]["fid_excess_ratio"] == pytest.approx((model - floor) / (painter - floor))


def test_per_sample_table(done: Evaluation, splits: tuple[Split, Split]) -> None:
    table = done.per_sample
    assert table["key"] == splits[1].keys
    names = {"l1", "psnr", "ssim", "fcn_pixel_accuracy", "fcn_class_iou", f"feature_distance_{NETWORK}"}
    assert set(table) == {"key", *names}
    mean = done.metrics["rows"]["model"]
    for name in ("l1", "psnr", "ssim", "fcn_pixel_accuracy"):
        assert np.mean(table[name]) == pytest.approx(mean[name]["value"])


def test_replicates_are_what_the_intervals_are_of_and_their_names_are_known(done: Evaluation) -> None:
    assert all(len(values) == CONFIG.num_bootstrap for values in done.replicates.values())
    for row, entries in done.metrics["rows"].items():
        for name in entries.keys() - {"fcn_iou_per_class"}:
            assert name in figure_names(CONFIG)
            figure, values = entries[name], np.array(done.replicates[f"{row}/{name}"])
            low, high = np.nanpercentile(values, [2.5, 97.5])
            assert figure["low"] == pytest.approx(min(low, figure["value"]), abs=1e-9)
            assert figure["high"] == pytest.approx(max(high, figure["value"]), abs=1e-9)


def test_two_models_are_resampled_alike(done: Evaluation) -> None:
    """What lets them be compared set by set: a figure and the same figure shifted differ by one number."""
    again = mean_figure(torch.tensor(done.per_sample["l1"]) + 1, draws(8, CONFIG.num_bootstrap, CONFIG.seed))
    assert again.replicates is not None
    shift = again.replicates.numpy() - np.array(done.replicates["model/l1"])
    assert shift == pytest.approx(np.ones(CONFIG.num_bootstrap), abs=1e-6)


def test_perfect_pictures_and_kept_features(
    splits: tuple[Split, Split], judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = generate(tmp_path / "generated", splits[1], "photo", lambda x: x)
    args = (CONFIG, *splits, generated, TO_PHOTO, judge, tmp_path / "cache")
    first = evaluate(*args)
    model, real = first.metrics["rows"]["model"], first.metrics["rows"]["real"]
    assert model[f"fid_{NETWORK}"]["value"] == pytest.approx(0, abs=1e-6)
    assert model["l1"]["value"] == 0
    assert {k: v for k, v in real.items() if k.startswith("fcn")} == {
        k: v for k, v in model.items() if k.startswith("fcn")
    }
    assert len(list((tmp_path / "cache").iterdir())) == 4  # all rows with features but the model
    assert evaluate(*args).metrics == first.metrics
    assert evaluate(*args, only=("model",)).metrics["rows"] == {"model": model}  # those of the judge, too


def test_photo_to_labels(splits: tuple[Split, Split], judge: Judge, tmp_path: Path) -> None:
    generated = generate(tmp_path / "generated", splits[1], "labels", lambda x: np.where(x == 1, 2, x).astype(np.uint8))
    metrics = evaluate(CONFIG, *splits, generated, TO_LABELS, judge).metrics
    rows = metrics["rows"]
    truth = np.stack([splits[1].picture(i, "labels") for i in range(len(splits[1]))])
    assert rows["model"]["labels_pixel_accuracy"]["value"] == pytest.approx((truth != 1).mean())
    assert rows["model"]["labels_iou_per_class"]["forest"]["value"] == 0
    common = splits[0].histogram("labels").argmax()
    assert rows["mean_colour"]["labels_pixel_accuracy"]["value"] == pytest.approx((truth == common).mean())
    assert rows["mismatched"]["labels_pixel_accuracy"]["value"] < 0.6
    assert set(rows["real"]) == {f"inception_score_{NETWORK}"}
    assert set(rows["input"]) == {f"fid_{NETWORK}", f"kid_{NETWORK}", f"inception_score_{NETWORK}"}
    assert not any(name.startswith(("fcn", "l1")) for row in rows.values() for name in row)
    assert set(metrics["skipped"]) == {"fcn", "pixels"}


def test_without_labels(tmp_path: Path, tiny_shards: Path) -> None:
    """Two image domains and no judge: everything but the labels."""
    whole = {name: Split(tiny_shards, name) for name in ("train", "test")}
    domains = {"photo": Domain(kind="image"), "map": Domain(kind="image")}
    samples = {
        name: [
            (key, {"photo": split.picture(i, "photo"), "map": split.picture(i, "photo")[::-1].copy()})
            for i, key in enumerate(split.keys)
        ]
        for name, split in whole.items()
    }
    write_set(tmp_path / "shards", "maps", sized(domains, (32, 32)), Task(source="map", target="photo"), samples)
    train, test = (Split(tmp_path / "shards", name) for name in ("train", "test"))
    write_json(tmp_path / "judge" / "judge.json", {"skipped": "the task has no labels"})
    generated = generate(tmp_path / "generated", test, "photo", noisy)
    metrics = evaluate(
        CONFIG, train, test, generated, Task(source="map", target="photo"), load_judge(tmp_path / "judge")
    ).metrics
    assert set(metrics["rows"]["model"]) == {
        *(f"{name}_{NETWORK}" for name in ("fid", "kid", "inception_score")),
        "l1",
        "psnr",
        "ssim",
    }
    assert "no judge" in metrics["skipped"]["fcn"]
    assert metrics["protocol"]["judge"] is None
    mean = np.mean([train.picture(i, "photo") for i in range(len(train))], axis=(0, 1, 2))
    painted = flat_painter(train, test, Task(source="map", target="photo"), 0)(0)
    np.testing.assert_array_equal(painted, np.broadcast_to(mean.round(), (32, 32, 3)))


def test_rows_of_pictures(splits: tuple[Split, Split], tmp_path: Path) -> None:
    train, test = splits
    generated = generate(tmp_path / "generated", test, "photo", noisy)
    rows = {row.name: row for row in build_rows(train, test, generated, TO_PHOTO, 0)}
    assert list(rows) == ["model", "real", "floor", "mean_colour", "mismatched", "input"]
    photos = np.stack([train.picture(i, "photo") for i in range(len(train))])
    labels = np.stack([train.picture(i, "labels") for i in range(len(train))])
    expected = np.stack([photos[labels == c].mean(0) for c in range(4)]).round()
    np.testing.assert_array_equal(rows["mean_colour"].read(2), expected[test.picture(2, "labels")])
    np.testing.assert_array_equal(rows["input"].read(1), test.picture(1, "labels"))
    floor = [rows["floor"].read(i) for i in range(rows["floor"].count)]
    assert rows["floor"].count == len(test)
    assert all(any(np.array_equal(picture, photo) for photo in photos) for picture in floor)
    others = [rows["mismatched"].read(i) for i in range(len(test))]
    assert not any(np.array_equal(picture, test.picture(i, "photo")) for i, picture in enumerate(others))


@pytest.mark.parametrize("count", [2, 3, 50])
def test_derangement_moves_everything(count: int) -> None:
    moved = derangement(count, 0)
    assert sorted(moved) == list(range(count))
    assert not any(i == j for i, j in enumerate(moved))
    np.testing.assert_array_equal(moved, derangement(count, 0))


def test_faults_of_generated_pictures(splits: tuple[Split, Split], tmp_path: Path) -> None:
    train, test = splits
    task = TO_PHOTO

    def rows(edit: Edit = noisy, keys: list[str] | None = None) -> None:
        build_rows(train, test, generate(tmp_path / "generated", test, "photo", edit, keys), task, 0)

    with pytest.raises(Fault, match=rf"sample {test.keys[0]} is not in it \(1 such\)"):
        rows(keys=["stranger", *test.keys[1:]])
    with pytest.raises(Fault, match="pictures are 16x16, true ones 32x32"):
        rows(edit=lambda x: x[:16, :16])
    with pytest.raises(Fault, match="has no domain labels"):
        build_rows(
            train,
            test,
            generate(tmp_path / "generated", test, "photo", noisy),
            TO_LABELS,
            0,
        )
    samples = [(test.keys[0], test.read(0)[1])]
    write_set(tmp_path / "one", "one", test.domains, task, {"test": samples})
    one = Split(tmp_path / "one", "test")
    with pytest.raises(Fault, match="the test split has 1 image"):
        build_rows(train, one, generate(tmp_path / "generated", one, "photo", noisy), task, 0)


def test_protocol_is_how_and_not_what(
    done: Evaluation, splits: tuple[Split, Split], judge: Judge, kept: Path, tmp_path: Path
) -> None:
    generated = generate(tmp_path / "generated", splits[1], "photo", lambda x: 255 - x)
    other = evaluate(CONFIG, *splits, generated, TO_PHOTO, judge, kept).metrics
    assert other["rows"] != done.metrics["rows"]
    assert other["protocol"] == done.metrics["protocol"]
    require_comparable(other, done.metrics, ("a.json", "b.json"))


def test_protocol_hash_changes_with_each_part(done: Evaluation) -> None:
    values = {k: v for k, v in done.metrics["protocol"].items() if k != "hash"}
    whole = Protocol.model_validate(values)
    assert whole.hash == done.metrics["protocol"]["hash"]
    network = whole.networks[NETWORK]
    edits: dict[str, Any] = {
        "arithmetic": 2,
        "metrics": ("l1",),
        "networks": {NETWORK: network.model_copy(update={"resize": "nearest"})},
        "judge": "another",
        "source": "map",
        "target": "map",
        "size": (64, 64),
        "classes": ("water",),
        "test": whole.test.model_copy(update={"count": 7}),
        "train": whole.train.model_copy(update={"pictures": "other"}),
        "seed": 1,
        "num_bootstrap": 61,
        "is_splits": 5,
        "confidence": 90.0,
        "sources": whole.test,
        "condition": "kind",
        "border": 4,
    }
    assert set(edits) == set(Protocol.model_fields)
    hashes = {name: whole.model_copy(update={name: value}).hash for name, value in edits.items()}
    assert len({whole.hash, *hashes.values()}) == len(edits) + 1
    changed = {"protocol": whole.model_copy(update={"seed": 1}).as_json()}
    with pytest.raises(Fault, match=r"a and b were measured differently \(seed\)"):
        require_comparable(done.metrics, changed, ("a", "b"))


def test_config_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="sha256"):
        EvaluateConfig.model_validate({"inception": {"path": "x", "sha256": "short"}})
    with pytest.raises(ValueError, match="features"):
        EvaluateConfig.model_validate({"features": ["vgg"]})
