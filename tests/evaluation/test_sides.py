"""Figures of two sides without pairs, and of some rows alone."""

from pathlib import Path

import numpy as np
import pytest

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import Evaluation, evaluate
from components.evaluation.features import open_networks
from components.evaluation.frechet import frechet_distance
from components.evaluation.intervals import draws
from components.evaluation.kid import kid
from components.evaluation.objective import Objective
from components.evaluation.protocol import require_comparable
from components.evaluation.rows import build_rows
from components.evaluation.sides import open_sides
from components.faults import Fault
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from tests.conftest import TO_LABELS, TO_PHOTO

CONFIG = EvaluateConfig(num_bootstrap=60)
NETWORK = "efficientnet_lite0"
DISTANCES = {f"fid_{NETWORK}", f"kid_{NETWORK}"}
SCORE = f"inception_score_{NETWORK}"
TASK = TO_PHOTO


def generate(folder: Path, root: Path, task: Task, seed: int = 0) -> Split:
    """A picture of random pixels or labels for each source of the task."""
    _, test, sources = open_sides(root, task)
    random = np.random.default_rng(seed)
    shape, top = ((32, 32, 3), 256) if task.target == "photo" else ((32, 32), 4)
    keys = (sources or test).keys
    samples = [(key, {task.target: random.integers(0, top, shape).astype(np.uint8)}) for key in keys]
    write_set(folder, "made", {task.target: test.domains[task.target]}, task, {"test": samples})
    return Split(folder, "test")


def measure(folder: Path, root: Path, task: Task = TASK, seed: int = 0, **options: object) -> Evaluation:
    train, test, sources = open_sides(root, task)
    made = generate(folder / f"made_{seed}", root, task, seed)
    return evaluate(CONFIG, train, test, made, task, None, folder / "cache", sources, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sides")


@pytest.fixture(scope="module")
def done(folder: Path, tiny_sides: Path) -> Evaluation:
    return measure(folder, tiny_sides)


def pictures(split: Split, domain: str) -> np.ndarray:
    return np.stack([split.picture(i, domain) for i in range(len(split))])


def test_sides_are_opened_by_the_task(tiny_sides: Path, tiny_shards: Path) -> None:
    train, test, sources = open_sides(tiny_sides, TO_LABELS, "val")
    assert sources is not None
    assert [split.name for split in (train, test, sources)] == ["train/labels", "val/labels", "val/photo"]
    train, test, sources = open_sides(tiny_shards, TASK)
    assert (train.name, test.name, sources) == ("train", "test", None)
    assert set(test.domains) == {"labels", "photo"}


def test_without_pairs_only_sets_are_compared(done: Evaluation) -> None:
    assert {name: set(row) for name, row in done.metrics["rows"].items()} == {
        "model": DISTANCES | {SCORE},
        "real": {SCORE},
        "floor": DISTANCES,
        "mean_colour": DISTANCES | {SCORE},
        "input": DISTANCES | {SCORE},
    }
    reason = "no aligned truth: labels and photo are pictures of different samples"
    assert done.metrics["skipped"] == {"fcn": reason, "pixels": reason}
    assert done.per_sample == {"key": [f"test_labels_{i:02d}" for i in range(6)]}
    assert set(done.metrics["summary"]) == {"scale", "no_better_than_input", "fid_excess_ratio", "kid_excess_ratio"}
    for row in done.metrics["rows"].values():
        for figure in row.values():
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_distances_are_of_all_generated_to_all_true_pictures(
    done: Evaluation, folder: Path, tiny_sides: Path, tiny_shards: Path
) -> None:
    network = open_networks(CONFIG)[NETWORK]
    made = pictures(Split(folder / "made_0", "test"), "photo")
    real = pictures(open_sides(tiny_sides, TASK).test, "photo")
    assert (len(made), len(real)) == (6, 9)
    first, second = (network.extract(batch)[0] for batch in (made, real))
    found = done.metrics["rows"]["model"]
    assert found[f"fid_{NETWORK}"]["value"] == pytest.approx(frechet_distance(first, second), rel=1e-4)
    expected = kid(first, second, draws(6, 60, 1), draws(9, 60, 0), paired=False)
    assert found[f"kid_{NETWORK}"]["value"] == pytest.approx(expected.value, rel=1e-4)
    assert found[f"kid_{NETWORK}"]["low"] == pytest.approx(expected.low, rel=1e-3)
    assert found[f"fid_{NETWORK}"]["note"] == "biased: 6 images for 1280 dimensions"


def test_rows_of_two_sides(tiny_sides: Path, tmp_path: Path) -> None:
    train, test, sources = open_sides(tiny_sides, TASK)
    assert sources is not None
    made = generate(tmp_path / "made", tiny_sides, TASK)
    rows = {row.name: row for row in build_rows(train, test, made, TASK, 0, sources)}
    assert {name: row.count for name, row in rows.items()} == {
        "model": 6,
        "real": 9,
        "floor": 6,  # as many as the model's, so that both figures are of sets of the same sizes
        "mean_colour": 6,
        "input": 6,
    }
    photos = pictures(train, "photo")
    np.testing.assert_array_equal(rows["mean_colour"].read(0)[0, 0], photos.mean((0, 1, 2)).round())
    np.testing.assert_array_equal(rows["mean_colour"].read(0), rows["mean_colour"].read(5))
    np.testing.assert_array_equal(rows["input"].read(2), sources.picture(2, "labels"))
    np.testing.assert_array_equal(rows["real"].read(8), test.picture(8, "photo"))
    assert all(any(np.array_equal(rows["floor"].read(i), photo) for photo in photos) for i in range(6))
    with pytest.raises(Fault, match=r"sample test_photo_00 is not in it \(9 such\)"):
        build_rows(train, test, made, TASK, 0, test)


def test_to_labels_without_pairs(tiny_sides: Path, tmp_path: Path) -> None:
    done = measure(tmp_path, tiny_sides, TO_LABELS)
    assert set(done.metrics["skipped"]) == {"labels", "pixels"}
    assert set(done.metrics["rows"]["model"]) == DISTANCES | {SCORE}
    assert done.metrics["protocol"]["sources"]["count"] == len(done.per_sample["key"]) == 9


def test_the_protocol_names_both_lists_of_samples(
    done: Evaluation, folder: Path, tiny_sides: Path, tmp_path: Path
) -> None:
    protocol = done.metrics["protocol"]
    assert (protocol["sources"]["count"], protocol["test"]["count"], protocol["train"]["count"]) == (6, 9, 14)
    other = measure(folder, tiny_sides, seed=1).metrics
    assert other["rows"]["model"] != done.metrics["rows"]["model"]
    require_comparable(done.metrics, other, ("a", "b"))
    back = measure(tmp_path, tiny_sides, TO_LABELS, only=()).metrics
    with pytest.raises(Fault, match=r"measured differently \(.*sources.*test.*train"):
        require_comparable(done.metrics, back, ("a", "b"))


def test_aligned_figures_say_nothing_of_sources(tiny_shards: Path, tmp_path: Path) -> None:
    assert "sources" not in measure(tmp_path, tiny_shards, only=()).metrics["protocol"]


@pytest.mark.parametrize("root", ["tiny_shards", "tiny_sides"])
def test_a_row_alone_has_the_figures_of_the_whole_table(
    root: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shards = request.getfixturevalue(root)
    whole = measure(tmp_path, shards).metrics
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    part = measure(tmp_path, shards, only=("model",)).metrics
    assert part["rows"] == {"model": whole["rows"]["model"]}
    assert part["protocol"] == whole["protocol"]
    assert part["summary"] == {}
    assert len(list((tmp_path / "cache").iterdir())) == 1  # of the real pictures, and of nothing else
    more = measure(tmp_path, shards, only=("floor", "real")).metrics
    assert more["rows"] == {name: whole["rows"][name] for name in ("model", "real", "floor")}
    with pytest.raises(Fault, match="metrics have no row ceiling here; there are model, real, floor"):
        measure(tmp_path, shards, only=("ceiling",))


def test_an_objective_without_pairs_is_the_figure_that_evaluate_gives(
    done: Evaluation, folder: Path, tiny_sides: Path
) -> None:
    train, test, sources = open_sides(tiny_sides, TASK)
    objective = Objective(None, CONFIG, train, test, TASK, None, sources=sources)
    assert objective.figure == f"kid_{NETWORK}"
    assert objective.asked.keys == sources.keys
    found = objective.measure(pictures(Split(folder / "made_0", "test"), "photo"))
    expected = done.metrics["rows"]["model"][f"kid_{NETWORK}"]
    assert (found.value, found.low, found.high) == pytest.approx((expected["value"], expected["low"], expected["high"]))
    some = Objective(None, CONFIG, train, test, TASK, None, samples=4, sources=sources)
    assert len(some.asked) == 4
    assert some.protocol.sources.count == some.protocol.test.count == 4
    with pytest.raises(Fault, match=r"l1 cannot be measured here \(no aligned truth.*\); it is one of fid_.*, kid_"):
        Objective("l1", CONFIG, train, test, TASK, None, sources=sources)
