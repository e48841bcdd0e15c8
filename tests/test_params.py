"""A wrong param is refused in one line with its dotted path and the names that are valid there."""

from pathlib import Path

import pytest
import yaml

from components.faults import Fault
from components.params import load_params, parse_params
from components.samples.domain import Domain
from components.systems import build
from components.systems.system import Shape
from pipelines import cli

ROOT = Path(__file__).parent.parent


def values() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def refused(change: dict) -> str:
    changed = values()
    for path, value in change.items():
        *sections, key = path.split(".")
        place = changed
        for section in sections:
            place = place[section]
        place[key] = value
    with pytest.raises(Fault) as fault:
        parse_params(changed, "params.yaml")
    assert "\n" not in str(fault.value)
    return str(fault.value)


def test_the_projects_own_params_are_valid():
    params = load_params(ROOT / "params.yaml")
    assert params.system.name == "pix2pix"


@pytest.mark.parametrize("config", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_fragment_is_valid_over_the_defaults(config, tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text())
    cli.main(["use", str(config), "--params", str(params)])
    taken, fragment = load_params(params), yaml.safe_load(config.read_text())
    assert taken.train.batch_size == fragment.get("train", {}).get(
        "batch_size", load_params(ROOT / "params.yaml").train.batch_size
    )


def test_the_papers_setting_is_the_published_one(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text())
    cli.main(["use", str(ROOT / "configs/papers/pix2pix.yaml"), "--params", str(params)])
    taken = load_params(params)
    classes = tuple("abcdefghi")
    labels = Domain(
        kind="label", classes=classes, palette=tuple((i, 0, 0) for i in range(9)), encoding=taken.train.labels
    )
    system = build(taken.system, Shape(labels.at((256, 256)), Domain(kind="image").at((256, 256))))
    assert system.num_parameters() == {"generator": 54_413_955, "discriminator": 2_768_705}
    assert taken.tune.num_trials == 0
    assert (taken.train.batch_size, taken.train.epochs, taken.train.learning_rate) == (1, 200, 2e-4)
    assert taken.train.betas == (0.5, 0.999)
    assert (taken.system.lambda_l1, taken.system.patch_size, taken.train.augment.resize) == (100, 70, 286)


def test_a_misspelt_key_names_its_path_and_the_valid_ones():
    message = refused({"train.learning_rat": 1})
    assert message.startswith(
        "params.yaml: train.learning_rat: no such param; did you mean learning_rate? valid here: "
    )
    assert "batch_size" in message


def test_the_valid_names_are_those_of_the_chosen_system():
    message = refused({"system.balance": 1})
    assert "system.balance: no such param" in message
    assert "lambda_l1" in message
    assert "valid here: adversarial, " in message
    assert "balance," not in message.split("valid here")[1]


def test_an_unknown_section_source_or_system_is_refused():
    assert "trian: no such param; did you mean train?" in refused({"trian": {}})
    assert "fetch.name: 'mars' is not one of 'earth', 'folder'" in refused({"fetch": {"name": "mars"}})
    assert "system.name: 'pix3pix'" in refused({"system": {"name": "pix3pix"}})


def test_a_value_out_of_range_is_named_with_what_was_given():
    assert "system.patch_size: Input should be 1, 16, 34, 70, 142 or 286 (given: 71)" in refused(
        {"system.patch_size": 71}
    )
    assert "train.constant_share" in refused({"train.constant_share": 1.5})
    assert "train: give either steps or epochs" in refused({"train.epochs": 3})


def test_source_and_cut_must_agree():
    assert "shard.cut.name is earth" in refused({"fetch": {"name": "folder", "path": "x", "layout": "side_by_side"}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"shard.task": {"source": "night", "target": "photo"}},
            "shard.task: night is not fetched; name it in fetch.pictures",
        ),
        (
            {"shard.derive": {"x": {"name": "grey", "of": "relief"}}},
            "shard.derive.x.of: relief is not fetched; name it in fetch.pictures, which has labels, photo",
        ),
        (
            {"shard.task": {"source": "edges", "target": "photo"}},
            "shard.task: edges: no such domain; there are labels, photo",
        ),
    ],
)
def test_a_picture_that_is_not_fetched_is_refused_before_anything_is(change, said):
    assert refused(change).startswith(f"params.yaml: {said}")


def test_a_picture_that_is_fetched_or_derived_may_be_named():
    fetched = {"fetch": {"name": "earth", "pictures": ["labels", "photo", "relief"]}}
    shard = values()["shard"]
    derive = {"winter": {"name": "grey", "of": "relief"}, "x": {"name": "small", "of": "winter"}}
    asked = {"derive": derive, "task": {"source": "winter", "target": "x"}}
    parse_params(values() | fetched | {"shard": shard | asked}, "params.yaml")
    assert "shard.derive.x.of: winter is not fetched" in refused(
        fetched | {"shard.derive": dict(reversed(derive.items()))}
    )


@pytest.mark.parametrize(
    ("shard", "said"),
    [
        ({"derive": {}}, "shard.task: edges: no such domain; there are photo$"),
        ({"task": {"source": "edges", "target": "b"}}, "shard.task: b: no such domain; there are photo$"),
        ({"derive": {"edges": {"name": "edges", "of": "foto"}}}, "shard.derive.edges.of: foto: no such domain"),
    ],
)
def test_photos_alone_want_something_derived(shard, said):
    """Whatever else configs/photos.yaml says."""
    fragment = yaml.safe_load((ROOT / "configs/photos.yaml").read_text())
    changed = values() | {"fetch": fragment["fetch"], "shard": fragment["shard"]}
    parse_params(changed, "params.yaml")
    with pytest.raises(Fault, match=f"^params.yaml: {said}") as fault:
        parse_params(changed | {"shard": fragment["shard"] | shard}, "params.yaml")
    assert "\n" not in str(fault.value)


def test_a_name_of_a_side_that_no_tar_could_hold_is_refused():
    change = {"fetch": {"name": "folder", "path": "x", "a": {"name": "a" * 16}}}
    assert "fetch.a.name: String should match pattern" in refused(change)


def test_a_file_that_is_missing_broken_or_says_a_key_twice(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(Fault, match="not found"):
        load_params(path)
    path.write_text("train: [")
    with pytest.raises(Fault, match="not YAML"):
        load_params(path)
    path.write_text("train: {seed: 1, seed: 2}")
    with pytest.raises(Fault, match="key seed is given twice"):
        load_params(path)


def test_a_rule_of_the_review_names_a_figure_that_evaluate_can_have():
    said = refused({"review.require": ["fid"]})  # without Inception weights there is none of that name
    assert "review.require: evaluate has no metric fid; it may have fid_efficientnet_lite0, " in said
    assert "did you mean fcn_class_iou? " in refused({"review.no_worse_than": {"fcn_class_uoi": 0.1}})
    assert "mean_color" in refused({"review.floors": {"psnr": "mean_color"}})
    assert "review.require" in refused({"review.require": []})
