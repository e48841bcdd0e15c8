"""Params of derived domains: what is wrong is named with its dotted path."""

from pathlib import Path

import pytest
import yaml

from components.faults import Fault
from components.params import load_params, parse_params
from pipelines import cli

ROOT = Path(__file__).parent.parent.parent
TASKS = sorted((ROOT / "configs" / "tasks").glob("*.yaml"))


def refused(derive) -> str:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["shard"]["derive"] = derive
    with pytest.raises(Fault) as fault:
        parse_params(values, "params.yaml")
    assert "\n" not in str(fault.value)
    return str(fault.value)


def test_an_unknown_derivation_lists_the_known():
    message = refused({"x": {"name": "sketch", "of": "photo"}})
    assert "shard.derive.x.name: 'sketch' is not one of 'edges', 'grey', 'masked', 'small', 'blurred'" in message


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("edges", {"low": 0.3, "high": 0.2}, "shard.derive.edges: low (0.3) is above high (0.2)"),
        ("edges", {"sigma": 0}, "shard.derive.edges.sigma: Input should be greater than 0 (given: 0)"),
        ("edges", {"lo": 0.1}, "shard.derive.edges.lo: no such param; did you mean low? valid here: high, low, name"),
        ("masked", {"share": [0.3, 0.1]}, "shard.derive.masked: share runs from the least to the most"),
        ("masked", {"share": [0, 0.1]}, "shard.derive.masked.share.0: Input should be greater than 0"),
        ("masked", {"share": [0.1, 1]}, "shard.derive.masked.share.1: Input should be less than or equal to 0.9"),
        ("masked", {"shape": "star"}, "shard.derive.masked.shape: Input should be 'box' or 'free_form'"),
        ("small", {"factor": 1}, "shard.derive.small.factor: Input should be greater than or equal to 2"),
        ("blurred", {"noise": -1}, "shard.derive.blurred.noise: Input should be greater than or equal to 0"),
        ("grey", {"low": 1}, "shard.derive.grey.low: no such param; valid here: name, of"),
    ],
)
def test_a_bad_param_is_named_whatever_the_domain_is_called(name, params, message):
    """A domain may be called as a derivation is; then too the whole path is given."""
    assert message in refused({name: {"name": name, "of": "photo"} | params})
    other = refused({"mine": {"name": name, "of": "photo"} | params})
    assert message.replace(f"shard.derive.{name}", "shard.derive.mine") in other


def test_what_it_is_made_of_must_be_said_and_names_must_fit_a_tar():
    assert "shard.derive.grey.of: missing" in refused({"grey": {"name": "grey"}})
    for name in ("a.b", "A", "", "a" * 16):
        assert "String should match pattern" in refused({name: {"name": "grey", "of": "photo"}})


@pytest.mark.parametrize("config", TASKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("data", [None, "facades.yaml", "photos.yaml"])
def test_every_task_can_be_taken_on_any_data_with_photos(config, data, tmp_path):
    """Over the defaults, over other data, and over another task, of which nothing is left."""
    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text())
    for file in [*([ROOT / "configs" / data] if data else []), TASKS[0], config]:
        cli.main(["use", str(file), "--params", str(params)])
    shard = load_params(params).shard
    assert shard.task is not None
    assert list(shard.derive) == [shard.task.source]
    assert (shard.derive[shard.task.source].of, shard.task.target) == ("photo", "photo")


def test_there_is_a_config_for_each_derivation():
    names = [next(iter(yaml.safe_load(path.read_text())["shard"]["derive"].values()))["name"] for path in TASKS]
    assert sorted(names) == ["blurred", "edges", "grey", "masked", "small"]
