"""Pictures of several domains as samples of one: what each sample holds, and what is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from components.faults import Fault
from components.fragment import take
from components.params import parse_params
from components.plan import check_plan
from components.samples.domain import Domain
from components.samples.source import Shown
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.reader import Split
from components.shards.turns import open_turns
from components.shards.verify import verify
from components.shards.writer import write_shards
from components.tasks.derived import derived
from components.tasks.gathered import gathered, gathered_domains
from tests.conftest import TO_PHOTO, tiny_sample
from tests.tasks.test_derived import Tiny, Unit, configs

ROOT = Path(__file__).parents[2]
GREY = configs({"grey": {"name": "grey", "of": "photo"}})


def test_each_picture_is_a_sample_that_knows_its_true_pictures(tmp_path):
    whole = derived(Tiny(), GREY)
    source = gathered(whole, ["photo", "grey"])
    manifest = write_shards(source, tmp_path / "s", ShardConfig(samples_per_shard=4))
    assert manifest.task == Task(target="picture", condition="kind")
    assert manifest.domains["kind"] == Domain(kind="category", classes=("photo", "grey"), in_key=True)
    assert [manifest.count(split) for split in manifest.splits] == [10, 10, 10]
    assert not verify(tmp_path / "s")[1]
    split = Split(tmp_path / "s", "test")
    for i, key in enumerate(split.keys):
        stem, _, kind = key.rpartition("-")
        _, held = split.read(i)
        unit = Unit(stem, int(stem.split("_")[1]))
        assert np.array_equal(held["picture"], whole.read(unit)[kind])
        assert held["kind"] == ("photo", "grey").index(kind)
    turns = open_turns(split, "kind")
    assert turns.truths is not None
    for place, truth, asked in zip(turns.places, turns.truths, turns.asked, strict=True):
        assert split.keys[truth] == split.keys[place].rpartition("-")[0] + ("-photo", "-grey")[asked]


def test_two_sets_that_are_not_aligned_are_poured_together():
    splits = {
        f"{split}/{side}": [Unit(f"{side}_{i}", i) for i in range(count)]
        for split in ("train", "test")
        for side, count in (("photo", 3), ("map", 2))
    }
    image = Domain(kind="image", size=(32, 32))
    source = gathered(Tiny(splits=splits, domains={"photo": image, "map": image}), ["photo", "map"])
    assert list(source.splits) == ["train", "test"]
    assert [unit.key for unit in source.splits["test"]] == [
        *("map_0-map", "map_1-map"),
        *("photo_0-photo", "photo_1-photo", "photo_2-photo"),
    ]
    assert not source.domains["kind"].in_key
    assert np.array_equal(source.read(source.splits["test"][3])["picture"], tiny_sample(1)["photo"])


def test_long_keys_stay_apart_and_alike_but_for_the_kind():
    long = [Unit("a" * 79 + end, i) for i, end in enumerate("xy")]
    source = gathered(derived(Tiny(splits={"train": long}), GREY), ["photo", "grey"])
    keys = [unit.key for unit in source.splits["train"]]
    assert len(set(keys)) == 4
    assert max(map(len, keys)) <= 80
    assert len({key.rpartition("-")[0] for key in keys}) == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["photo", "winter"], "shard.gather: winter: no such domain; there are labels, photo, small"),
        (["photo", "labels"], "shard.gather: labels is of kind label"),
        (["photo", "small"], "shard.gather: photo and small differ in size"),
    ],
)
def test_what_cannot_be_gathered_is_named(names, message):
    source = derived(Tiny(), configs({"small": {"name": "small", "of": "photo", "factor": 4}}))
    with pytest.raises(Fault, match=message):
        gathered(source, names)
    with pytest.raises(Fault, match=message):
        gathered_domains(Shown(source.domains, TO_PHOTO), names)


def test_the_task_is_of_what_is_gathered():
    source = derived(Tiny(), GREY)
    assert gathered(source, ["photo", "grey"], Task(target="picture")).task == Task(target="picture")
    with pytest.raises(Fault, match=r"shard.task: photo: no such domain"):
        gathered(source, ["photo", "grey"], Task(target="photo"))


@pytest.mark.parametrize("names", [["photo"], ["photo", "photo"]])
def test_params_name_two_or_more_once_each(names):
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["shard"]["gather"] = names
    with pytest.raises(Fault, match=r"shard.gather: name two or more domains, each once"):
        parse_params(values, "params.yaml")


def test_params_that_gather_what_is_not_fetched_are_refused():
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["shard"]["gather"] = ["photo", "winter"]
    with pytest.raises(Fault, match=r"shard.gather: winter is not fetched"):
        parse_params(values, "params.yaml")


def test_a_plan_of_seasons_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    defaults = (ROOT / "params.yaml").read_text()
    text, _ = take(defaults, (ROOT / "configs/systems/star_gan_seasons.yaml").read_text(), defaults, "seasons")
    values = yaml.safe_load(text)
    check_plan(parse_params(values, "params.yaml"))
    del values["shard"]["gather"]
    with pytest.raises(Fault, match="star_gan"):
        check_plan(parse_params(values, "params.yaml"))
