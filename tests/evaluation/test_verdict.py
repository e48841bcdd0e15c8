"""A model that does nothing is called that, and the scale fits the task."""

from pathlib import Path

import numpy as np
import pytest
import torch

from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import Evaluation, evaluate
from components.evaluation.intervals import Figure
from components.evaluation.verdict import sentence, summarise
from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from tests.conftest import tiny_sample

CONFIG = EvaluateConfig(num_bootstrap=60, is_splits=2)
DOMAINS = {"photo": Domain(kind="image"), "dark": Domain(kind="image")}


def pictures(seed: int) -> dict[str, np.ndarray]:
    photo = tiny_sample(seed)["photo"]
    return {"photo": photo, "dark": photo // 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dark") / "shards"
    splits = {
        split: [(f"{split}_{i}", pictures(100 * s + i)) for i in range(count)]
        for s, (split, count) in enumerate({"train": 16, "val": 2, "test": 12}.items())
    }
    write_set(root, "tiny", sized(DOMAINS, (32, 32)), Task(source="dark", target="photo"), splits)
    return root


def measured(data: Path, folder: Path, make) -> Evaluation:
    """Of a model that makes what `make` gives of a sample's two pictures."""
    test = Split(data, "test")
    made = [(key, {"photo": make(both)}) for key, both in map(test.read, range(len(test)))]
    write_set(
        folder,
        "tiny",
        sized({"photo": DOMAINS["photo"]}, (32, 32)),
        Task(source="dark", target="photo"),
        {"test": made},
    )
    return evaluate(
        CONFIG, Split(data, "train"), test, Split(folder, "test"), Task(source="dark", target="photo"), None
    )


def test_a_model_that_gives_back_its_input_is_no_better_than_it(data, tmp_path):
    done = measured(data, tmp_path / "made", lambda both: both["dark"])
    summary = done.metrics["summary"]
    assert (summary["scale"], summary["no_better_than_input"]) == ("input", ["fid", "kid"])
    assert summary["fid_excess_ratio"] == pytest.approx(1.0)
    said = sentence(summary)
    assert said.startswith("The model is no better than its input by FID and KID.")
    assert "(0) and its own input (1), the model stands at 1.00" in said


def test_a_model_that_does_its_work_is_not(data, tmp_path):
    done = measured(data, tmp_path / "made", lambda both: both["photo"] // 8 * 8)
    assert done.metrics["summary"]["no_better_than_input"] == []
    assert sentence(done.metrics["summary"]).startswith("Between real pictures (0) and its own input (1)")


def test_from_labels_the_flat_painter_stands_at_one():
    said = sentence(
        {"scale": "mean_colour", "no_better_than_input": [], "fid_excess_ratio": 0.49, "kid_excess_ratio": 0.4}
    )
    assert (
        said
        == "Between real pictures (0) and the flat painter (1), the model stands at 0.49 by FID and at 0.40 by KID."
    )
    assert sentence({}) == ""


def test_from_noise_the_distances_stand_beside_the_floor():
    noise = torch.zeros(0)
    rows = {
        "model": {"fid_x": Figure(68.14, 66.0, 70.0, noise), "kid_x": Figure(0.05123, 0.05, 0.06, noise)},
        "floor": {"fid_x": Figure(7.9, 7.0, 8.0, noise), "kid_x": Figure(0.0004, 0.0, 0.001, noise)},
    }
    photo = Domain(kind="image", size=(32, 32))
    summary = summarise(rows, ["x", "y"], None, photo)
    assert summary == {"beside_floor": {"fid": [68.14, 7.9], "kid": [0.05123, 0.0004]}}
    assert sentence(summary).startswith("FID 68.1, where as many real pictures have 7.9. KID 0.0512, ")
    assert summarise({"model": rows["model"]}, ["x"], None, photo) == {}
    assert summarise(rows, ["z"], None, photo) == {}
