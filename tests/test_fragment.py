"""`pipelines.cli use`: what a file of configs/ sets does not depend on what was taken before; comments stay."""

import random
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.faults import Fault
from components.fragment import take
from pipelines.cli import main

ROOT = Path(__file__).parent.parent
DEFAULTS = (ROOT / "configs/default.yaml").read_text()
CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.name != "default.yaml")
PAIRS = sorted(random.Random(0).sample(list(permutations(CONFIGS, 2)), 20))


def taken(text: str, config: Path) -> str:
    return take(text, config.read_text(), DEFAULTS, config.name)[0]


def sections_of(fragment: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The places of the mappings of which a file gives keys."""
    inner = [sections_of(value, (*path, key)) for key, value in fragment.items() if isinstance(value, dict)]
    return {path}.union(*inner)


def at(values: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """The plain values directly in a mapping."""
    for key in path:
        values = values.get(key, {})
    return {key: value for key, value in values.items() if not isinstance(value, dict)}


def test_the_defaults_are_the_params_as_they_come():
    assert (ROOT / "params.yaml").read_text() == DEFAULTS


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda path: "_".join(path.with_suffix("").parts[-2:]))
def test_what_a_file_sets_does_not_depend_on_what_was_taken_before(first, second):
    alone, after = (yaml.safe_load(taken(text, second)) for text in (DEFAULTS, taken(DEFAULTS, first)))
    fragment = yaml.safe_load(second.read_text())
    for path in sections_of(fragment) - {()}:
        assert at(after, path) == at(alone, path), path
    untouched = yaml.safe_load(taken(DEFAULTS, first))
    for section in untouched.keys() - fragment.keys():
        assert after[section] == untouched[section]


def test_values_that_a_file_before_left_go_and_sections_inside_stay():
    text = taken(taken(DEFAULTS, ROOT / "configs/papers/pix2pix.yaml"), ROOT / "configs/cyclegan.yaml")
    assert "epochs" not in yaml.safe_load(text)["train"]
    data = yaml.safe_load(taken(taken(DEFAULTS, ROOT / "configs/facades.yaml"), ROOT / "configs/cyclegan.yaml"))
    assert data["train"]["augment"] == {"horizontal_flip": True, "vertical_flip": False}
    assert data["shard"]["cut"]["name"] == "folder"


def test_comments_stay_and_what_changed_is_said():
    config = ROOT / "configs/facades.yaml"
    text = DEFAULTS.replace("train:\n  num_workers: 2", "train:\n  # my own words\n  num_workers: 2")
    text, changed = take(text, config.read_text(), DEFAULTS, "facades")
    for comment in ("# Every knob", "# my own words", "# your copy, outside of data", "# over all ranks", "# less is"):
        assert (comment in text) == (comment != "# less is"), comment
    assert "fetch.name: earth -> folder" in changed
    assert "register.model: pix2pix-earth -> pix2pix-facades" in changed
    assert not any(line.startswith("evaluate") for line in changed)
    again, nothing = take(text, config.read_text(), DEFAULTS, "facades")
    assert (again, nothing) == (text, [])
    back, _ = take(text, DEFAULTS, DEFAULTS, "default")
    assert yaml.safe_load(back) == yaml.safe_load(DEFAULTS)


def test_the_winner_of_a_search_changes_its_own_values_alone(tmp_path, monkeypatch):
    text = taken(DEFAULTS, ROOT / "configs/cyclegan.yaml")
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "winner.yaml").write_text("system:\n  lambda_cycle: 3.5\ntrain:\n  learning_rate: 0.001\n")
    monkeypatch.chdir(tmp_path)
    main(["use", "--keep", "winner.yaml"])
    expected = yaml.safe_load(text)
    expected["system"]["lambda_cycle"], expected["train"]["learning_rate"] = 3.5, 0.001
    after = (tmp_path / "params.yaml").read_text()
    assert yaml.safe_load(after) == expected
    assert after.count("#") == text.count("#")


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "", "a: 1\na: 2\n"])
def test_what_is_no_fragment_is_one_line(text):
    with pytest.raises(Fault, match=r"^x\.yaml: not") as fault:
        take(DEFAULTS, text, DEFAULTS, "x.yaml")
    assert "\n" not in str(fault.value)
