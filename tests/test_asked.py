"""What a stage reads must be what params ask for, whoever put it there."""

from pathlib import Path
from typing import Any

import pytest

from components.asked import check_inputs
from components.faults import Fault
from components.params import Params, load_params
from components.storage.files import write_json, write_text

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The default params, in a folder whose outputs were made with them."""
    params = load_params(REPOSITORY / "params.yaml")
    monkeypatch.chdir(tmp_path)
    write_json(Path("data/judge/judge.json"), {"system": params.judge.system.model_dump(mode="json")})
    write_text(Path("data/tune/winner.yaml"), "system: {lambda_l1: 7.5}\n")
    made = {"key": "k", "manifest": None, "train": params.train.model_dump(mode="json")}
    write_json(
        Path("data/runs/run.json"), made | {"system": params.system.model_dump(mode="json") | {"lambda_l1": 7.5}}
    )
    card = {"checkpoint": "last", "mode": "eval", "batch_size": 16, "key": "k", "weights_sha256": "w"}
    write_json(Path("data/generated/labels_to_photo/generator.json"), card)
    write_json(Path("data/metrics/rows.json"), {"labels_to_photo": {"lineage": {"weights_sha256": "w"}}})
    return params


STAGES = ("tune", "train", "generate", "evaluate", "register", "report")


def test_what_params_ask_for_is_taken(params):
    for stage in STAGES:
        check_inputs(stage, params)


def set_in(path: str, keys: tuple[str, ...], value: Any) -> None:
    """One value of a JSON file, changed."""
    from components.storage.files import read_json

    whole = place = read_json(Path(path))
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    write_json(Path(path), whole)


@pytest.mark.parametrize(
    ("path", "keys", "value", "stages", "said"),
    [
        (
            "data/judge/judge.json",
            ("system", "width"),
            8,
            "tune evaluate report",
            r"judge\.system\.width: now 16, made with 8\).*-f judge",
        ),
        (
            "data/runs/run.json",
            ("system", "lambda_l1"),
            5.0,
            "generate register report",
            r"lambda_l1: now 7\.5, made with 5\.0\).*-f train",
        ),
        (
            "data/runs/run.json",
            ("train", "steps"),
            30,
            "generate register report",
            r"train\.steps: now 3000, made with 30\)",
        ),
        (
            "data/generated/labels_to_photo/generator.json",
            ("mode",),
            "train",
            "evaluate register report",
            r"generate\.mode",
        ),
        (
            "data/generated/labels_to_photo/generator.json",
            ("key",),
            "x",
            "evaluate register report",
            r"the run: now k, .*-f generate",
        ),
        (
            "data/metrics/rows.json",
            ("labels_to_photo", "lineage", "weights_sha256"),
            "x",
            "register report",
            r"-f evaluate",
        ),
    ],
)
def test_what_was_made_for_other_params_is_refused_by_all_that_read_it(params, path, keys, value, stages, said):
    set_in(path, keys, value)
    for stage in STAGES:
        if stage in stages.split():
            with pytest.raises(Fault, match=said):
                check_inputs(stage, params)
        else:
            check_inputs(stage, params)
