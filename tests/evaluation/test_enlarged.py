"""Pictures that were enlarged: the row `bicubic`, PSNR and SSIM of the luma, and how they were measured."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import Evaluation, evaluate
from components.evaluation.objective import Objective
from components.evaluation.verdict import sentence
from components.faults import Fault
from components.samples.domain import Domain, enlargement
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from components.tasks.degrade import enlarged
from tests.enlarged import DOMAINS, TASK, write_enlarged

CONFIG = EvaluateConfig(num_bootstrap=40)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_enlarged(tmp_path_factory.mktemp("enlarged") / "shards")


def made_of(shards: Path, folder: Path) -> Split:
    """As a model would leave it: the bicubic pictures, a grey level brighter."""
    test = Split(shards, "test")
    pictures = [enlarged(test.picture(i, "small"), 4).clip(0, 254) + np.uint8(1) for i in range(len(test))]
    samples = [(key, {"photo": picture}) for key, picture in zip(test.keys, pictures, strict=True)]
    write_set(folder, "generated", {"photo": DOMAINS["photo"]}, Task(target="photo"), {"test": samples})
    return Split(folder, "test")


@pytest.fixture(scope="module")
def done(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    generated = made_of(shards, tmp_path_factory.mktemp("made") / "generated")
    return evaluate(CONFIG, Split(shards, "train"), Split(shards, "test"), generated, TASK, None)


def luma_psnr(first: np.ndarray, second: np.ndarray) -> float:
    """By the formulas, without the four pixels at each edge."""
    a, b = (x[4:-4, 4:-4].astype(float) @ (65.481, 128.553, 24.966) / 255 for x in (first, second))
    return float(10 * np.log10(255**2 / np.square(a - b).mean()))


def test_the_input_is_enlarged_to_be_compared(done: Evaluation, shards: Path) -> None:
    rows, test = done.metrics["rows"], Split(shards, "test")
    assert list(rows) == ["model", "real", "floor", "mean_colour", "mismatched", "bicubic"]
    assert {"l1", "psnr", "ssim", "psnr_y", "ssim_y"} <= set(rows["bicubic"]) == set(rows["model"])
    truths = [test.picture(i, "photo") for i in range(len(test))]
    large = [
        np.asarray(Image.fromarray(test.picture(i, "small")).resize((48, 32), Image.Resampling.BICUBIC))
        for i in range(len(test))
    ]
    expected = np.mean([luma_psnr(*pair) for pair in zip(large, truths, strict=True)])
    assert rows["bicubic"]["psnr_y"]["value"] == pytest.approx(expected)
    assert rows["model"]["psnr_y"]["value"] < expected
    assert done.per_sample["psnr_y"][0] == pytest.approx(luma_psnr(large[0].clip(0, 254) + np.uint8(1), truths[0]))


def test_the_summary_is_against_bicubic_interpolation(done: Evaluation) -> None:
    summary = done.metrics["summary"]
    assert summary["scale"] == "bicubic"
    assert summary["fid_excess_ratio"] == pytest.approx(1, abs=0.1)  # a grey level away from it
    said = sentence(summary | {"no_better_than_input": ["fid"]})
    assert said.startswith(
        "The model is no better than bicubic interpolation by FID. Between real pictures (0) and bic"
    )


def test_the_border_is_part_of_the_protocol(done: Evaluation) -> None:
    assert done.metrics["protocol"]["border"] == 4


def test_a_search_may_ask_for_it(shards: Path) -> None:
    train, val = Split(shards, "train"), Split(shards, "val")
    objective = Objective("psnr_y", CONFIG, train, val, TASK, None)
    pictures = np.stack([enlarged(val.picture(i, "small"), 4) for i in range(len(val))])
    truths = [val.picture(i, "photo") for i in range(len(val))]
    assert not objective.less_is_better
    expected = np.mean([luma_psnr(*pair) for pair in zip(pictures, truths, strict=True)])
    assert objective.measure(pictures).value == pytest.approx(expected)
    with pytest.raises(Fault, match="psnr_y cannot be measured here"):
        Objective("psnr_y", CONFIG, train, val, Task(source="photo", target="small"), None)


@pytest.mark.parametrize(
    ("low", "high", "times"),
    [((8, 12), (32, 48), 4), ((8, 12), (24, 36), 3), ((8, 8), (8, 8), 1), ((8, 8), (16, 24), 1), ((9, 9), (4, 4), 1)],
)
def test_enlargement_is_a_whole_number_of_both_sides(low, high, times) -> None:
    assert enlargement(*(Domain(kind="image", size=size) for size in (low, high))) == times


def test_labels_are_not_enlarged() -> None:
    labels = Domain(kind="label", size=(8, 8), classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1)))
    assert enlargement(labels, Domain(kind="image", size=(16, 16))) == 1
