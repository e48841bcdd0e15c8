"""What can be told early is told early: hostile and absurd params, and plans that a later stage would refuse."""

import random
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from dvc_data.hashfile.meta import Meta
from pydantic import BaseModel, TypeAdapter

from components import plan
from components.counts import check_batches, check_data
from components.faults import Fault
from components.fragment import take
from components.params import Params, _models, load_params, load_tables, parse_params
from components.plan import check_plan, check_shards
from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.manifest import Manifest
from components.shards.writer import write_set, write_shards
from components.sources import CutConfig, FetchConfig, fetch, open_source
from components.sources.earth_cut import EarthCut, earth_domains
from components.sources.folder_config import FolderConfig
from components.stage import Clock
from components.storage.yaml_file import read_yaml
from components.systems import build
from components.systems.judge import load_judge
from components.systems.system import Shape
from components.tables.config import TablesParams
from pipelines import judge
from tests.conftest import TO_PHOTO
from tests.sources.test_folder import photo, save, side_by_side

ROOT = Path(__file__).parent.parent
DEFAULTS = (ROOT / "configs/default.yaml").read_text()


def changed(path: str, value: Any, text: str = DEFAULTS) -> dict[str, Any]:
    values = yaml.safe_load(text)
    *parents, key = path.split(".")
    place = values
    for parent in parents:
        place = place[parent]
    place[key] = value
    return values


def refusal(act: Any, *arguments: Any) -> str:
    """The one line of a Fault."""
    began = time.perf_counter()
    with pytest.raises(Fault) as fault:
        act(*arguments)
    said = str(fault.value)
    assert "\n" not in said
    assert len(said) <= 300, said
    assert time.perf_counter() - began < 10
    return said


def test_no_param_is_called_what_the_run_cache_of_dvc_leaves_out():
    dropped = {Meta.PARAM_SIZE, Meta.PARAM_NFILES}
    assert dropped == {"size", "nfiles"}
    seen: set[type[BaseModel]] = set()
    waiting: list[type[BaseModel]] = [Params, TablesParams]
    while waiting:
        kind = waiting.pop()
        if kind not in seen:
            seen.add(kind)
            names = {field.alias or name for name, field in kind.model_fields.items()}
            assert not names & dropped, kind
            waiting += [model for field in kind.model_fields.values() for model in _models(field.annotation)]
    assert len(seen) > 25


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x {b: *x}\n", "deep"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
            "aliases",
        ),
        ("a: " + "[" * 5000 + "]" * 5000, "deep"),
        ("a: " + "{b: " * 40 + "1" + "}" * 40, "deep"),
        ("a: 2026-01-01\n", "date"),
        ("a: !!binary aGk=\n", "bytes"),
        ("a: !!set {x}\n", "set"),
        (f"a: {'9' * 5000}\n", ""),
        ("a: 99999999999\n", "too large"),
        ('a: "x\\ny"\n', "line break"),
        (f"a: {'x' * 2000}\n", "characters"),
        ("1: a\n", "not text"),
        ("a: 1\na: 2\n", "is given twice"),
        ("a: [\n", "not YAML"),
        ("? {a: 1}\n: 2\n", ""),
        ("a: !!python/object/apply:os.system [ls]\n", "not YAML"),
        ("a: \x00", "not YAML"),
    ],
    ids=range(17),
)
def test_yaml_that_is_hostile_or_absurd_is_one_line(tmp_path, text, said):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert said in refusal(load_params, path)


def test_a_file_that_is_none_or_too_large_is_one_line(tmp_path):
    (tmp_path / "large.yaml").write_text("a: 1\n" * 250_000)
    (tmp_path / "text.yaml").write_bytes(b"a: \xff\xfe\n")
    for name, said in (
        ("large.yaml", "bytes"),
        ("text.yaml", "not YAML"),
        ("none.yaml", "not found"),
        (".", "not a file"),
    ):
        assert said in refusal(read_yaml, tmp_path / name)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("shard.cut.classes.forest.colour", [23, 62, 300], "colour"),
        ("shard.cut.classes.forest.colour", [23, 62, 115], "stands for two classes"),
        ("tune.space", {"system.patch_size": {"choice": [70, 71]}}, "patch_size"),
        ("tune.space", {"system.patch_size": {"choice": [70, "16"]}}, "patch_size"),
        (
            "tune.space",
            {"train.learning_rate": {"choice": ["0.1", "0.2"]}, "train.seed": {"choice": [1]}},
            "tune.space",
        ),
        ("tune.space", {"train.nothing": {"choice": [1, 2]}}, "nothing"),
        ("system.generator.widths", [8, 2000000000, 64], "system"),
    ],
)
def test_values_that_no_stage_can_use_are_refused_first(tmp_path, path, value, said):
    values = changed(path, value)
    values["tune"]["num_trials"] = 2
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(values))

    def load() -> None:
        check_plan(load_params(file))

    assert said in refusal(load)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("train.num_workers", 3, "train.batch_size 16 cannot be shared evenly by 3"),
        ("judge.train.num_workers", 5, "judge.train.batch_size"),
        ("generate.count", 700, "generate.count 700"),
        ("shard.cut.image_size", 50, "shard.cut.image_size"),
        ("shard.cut.image_size", [64, 200], "multiples of 16, not 64x200"),
        ("system", {"name": "cogan", "untied": 2}, ""),
        ("system.generator", {"name": "unet", "levels": 9}, "system.generator.levels"),
        ("tune.objective", "fid_inception", "tune.objective: fid_inception cannot be measured here; it is one of fcn_"),
        ("tune.objective", "labels_class_iou", "tune.objective: labels_class_iou cannot be measured here"),
        ("train.learning_rates", {"painter": 0.1}, "train.learning_rates.painter"),
        ("judge.train.learning_rates", {"painter": 0.1}, "judge.train.learning_rates.painter"),
        ("train.task", {"source": "photo", "target": "winter"}, "train.task: 'winter'"),
        ("shard.derive", {"little": {"name": "small", "of": "photo", "factor": 5}}, "shard.derive.little.factor"),
    ],
)
def test_a_plan_that_a_later_stage_would_refuse_is_refused_by_the_first(tmp_path, monkeypatch, path, value, said):
    monkeypatch.chdir(tmp_path)
    values = changed(path, value)
    if path == "system":  # CoGAN takes this size and no smaller one
        values["shard"]["cut"]["image_size"] = 4
    assert said in refusal(check_plan, parse_params(values, "params.yaml"))


@pytest.mark.parametrize(
    ("config", "path", "value", "said"),
    [
        ("unpaired", "system", {"name": "pix2pix"}, "system.name: pix2pix"),
        ("facades", "shard.cut.image_size", 8, "shard.cut.image_size: photo has 8 pixels a side"),
    ],
)
def test_a_plan_for_pictures_of_ones_own_is_refused_by_the_first(tmp_path, monkeypatch, config, path, value, said):
    monkeypatch.chdir(tmp_path)
    text = take(DEFAULTS, (ROOT / f"configs/{config}.yaml").read_text(), DEFAULTS, config)[0]
    values = changed(path, value, text)
    if config == "facades":  # without a judge, which takes no such size, and with networks that do
        values["fetch"]["b"] = {"name": "drawing"}
        values["shard"] |= {"task": {"source": "drawing", "target": "photo"}}
        values["system"]["generator"] = {"name": "unet"}
    assert said in refusal(check_plan, parse_params(values, config))


@pytest.mark.parametrize(("config", "millions"), [("pix2pix", (54.414, 2.769)), ("cyclegan", (11.378, 2.765))])
def test_the_papers_files_make_the_papers_networks(config, millions):
    """Taken over the facades, whose label maps are 12 classes."""
    text = DEFAULTS
    for name in ("facades", f"papers/{config}"):
        text = take(text, (ROOT / f"configs/{name}.yaml").read_text(), DEFAULTS, name)[0]
    params = parse_params(changed("shard.cut.image_size", 256, text), config)
    assert isinstance(params.fetch, FolderConfig)
    source, target = (
        side.domain().model_copy(update={"encoding": params.train.labels}) for side in (params.fetch.b, params.fetch.a)
    )
    with torch.device("meta"):
        system = build(params.system, Shape(source.at((256, 256)), target.at((256, 256))))
    counts = sorted((round(count / 1e6, 3) for count in system.num_parameters().values()), reverse=True)
    assert (counts[0], counts[-1]) == millions


def test_shards_that_were_cut_for_other_params_are_refused(tmp_path):
    params = parse_params(yaml.safe_load(DEFAULTS), "x")
    assert isinstance(params.shard.cut, EarthCut)
    names = {"labels", "photo"}
    domains = {name: domain for name, domain in earth_domains(params.shard.cut).items() if name in names}
    sample = {"labels": np.zeros((64, 64), np.uint8), "photo": np.zeros((64, 64, 3), np.uint8)}
    splits = {"train": [("a", sample)], "val": [("b", sample)], "test": [("c", sample)]}
    found = write_set(tmp_path, "earth", sized(domains, (64, 64)), TO_PHOTO, splits)
    check_shards(params, found)
    classes = dict(reversed(changed("train.seed", 0)["shard"]["cut"].get("classes", {}).items()))
    check_shards(parse_params(changed("shard.cut.classes", classes), "x"), found)  # DVC sees no change in this
    for path, value, said in (
        ("shard.cut.image_size", 128, "now 128x128, made with 64x64"),
        ("shard.task", {"source": "photo", "target": "labels"}, "shard.task"),
        ("shard.derive", {"grey": {"name": "grey", "of": "photo"}}, "shard.derive"),
        ("shard.cut.classes.forest.colour", [1, 2, 3], "colours of labels"),
    ):
        assert said in refusal(check_shards, parse_params(changed(path, value), "x"), found)


def test_a_judge_that_is_left_out_is_asked_for_nothing(tiny_shards, tmp_path, monkeypatch):
    values = changed("judge.system", None)
    assert "review.no_worse_than: fcn_class_iou" in refusal(parse_params, values, "params.yaml")
    values["review"]["no_worse_than"] = {}
    values["tune"]["objective"] = "fcn_class_iou"
    assert "tune.objective: fcn_class_iou" in refusal(parse_params, values, "params.yaml")
    values["tune"]["objective"] = None
    params = parse_params(values, "params.yaml")
    monkeypatch.chdir(tmp_path)
    check_plan(params)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/shards").symlink_to(tiny_shards)
    judge.main(params, Clock("judge"))
    assert load_judge(tmp_path / "data/judge") is None


@pytest.mark.parametrize(
    ("space", "settings", "said"),
    [
        ({"train.batch_size": {"choice": [8, 12]}}, {"tune.num_workers": 8}, "tune.space.train.batch_size 12"),
        ({"train.batch_size": {"choice": [8, 9]}}, {"train.num_workers": 2}, "tune.space.train.batch_size 9"),
        ({}, {"tune.num_workers": 3}, "train.batch_size 16 cannot be shared evenly by the 3 workers of tune"),
        ({"train.batch_size": {"uniform": [4, 16]}}, {}, "tune.space.train.batch_size"),
    ],
)
def test_a_search_whose_trials_could_not_be_trained_is_refused_by_the_first(
    tmp_path, monkeypatch, space, settings, said
):
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load(DEFAULTS)
    values["tune"] |= {"num_trials": 2, "space": values["tune"]["space"] | space}
    for path, value in settings.items():
        section, key = path.split(".")
        values[section][key] = value
    assert said in refusal(check_plan, parse_params(values, "params.yaml"))


def test_pictures_too_few_to_be_measured_are_refused_by_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = take(DEFAULTS, (ROOT / "configs/systems/dcgan.yaml").read_text(), DEFAULTS, "dcgan")[0]
    check_plan(parse_params(changed("generate.count", 2, text), "params.yaml"))
    assert "generate.count 1" in refusal(check_plan, parse_params(changed("generate.count", 1, text), "params.yaml"))


@pytest.mark.parametrize("sides", [False, True])
def test_batches_larger_than_what_they_are_drawn_from_are_refused_when_they_are_cut(tiny_shards, tiny_sides, sides):
    """24 aligned samples; 20 and 14 of two sides."""
    manifest, have = Manifest.read(tiny_sides if sides else tiny_shards), 14 if sides else 24
    values = yaml.safe_load(DEFAULTS)
    values["tune"] |= {"num_trials": 0, "space": {"train.batch_size": {"choice": [have, have + 1]}}}
    values["judge"]["train"]["batch_size"] = have
    values["train"]["batch_size"] = have
    check_batches(parse_params(values, "x"), manifest)
    values["tune"]["num_trials"] = 2
    assert f"tune.space.train.batch_size {have + 1}" in refusal(check_batches, parse_params(values, "x"), manifest)
    values["tune"]["num_trials"] = 0
    values["train"]["batch_size"] = have + 1
    assert f"train.batch_size {have + 1}" in refusal(check_batches, parse_params(values, "x"), manifest)
    if not sides:  # which no judge reads
        values["train"]["batch_size"], values["judge"]["train"]["batch_size"] = have, have + 1
        said = refusal(check_batches, parse_params(values, "x"), manifest)
        assert f"judge.train.batch_size {have + 1}" in said
        assert f"{have} samples" in said


def test_a_good_plan_is_checked_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params = load_params(ROOT / "params.yaml")
    check_plan(params)
    began = time.perf_counter()
    check_plan(params)
    assert time.perf_counter() - began < 0.1


def test_too_few_pictures_to_measure_are_refused_when_they_are_cut(tmp_path):
    domains = {"photo": Domain(kind="image")}
    one = [("a", {"photo": np.zeros((8, 8, 3), np.uint8)})]
    two = [*one, ("b", one[0][1])]
    for split in ("val", "test"):
        splits = {"train": one, "val": two, "test": two} | {split: one}
        manifest = write_set(tmp_path / split, "x", sized(domains, (8, 8)), Task(target="photo"), splits)
        assert f"the {split} split has 1 sample" in refusal(check_data, manifest)
    check_data(
        write_set(
            tmp_path / "good",
            "x",
            sized(domains, (8, 8)),
            Task(target="photo"),
            {"train": one, "val": two, "test": two},
        )
    )


LAYOUTS = {  # the folders of the published sets, with pictures of each
    "facades": {"train": 12, "val": 4, "test": 5},
    "unpaired": {"trainA": 12, "trainB": 9, "testA": 4, "testB": 3},
    "photos": {"one": 12, "two": 9},
}


@pytest.mark.parametrize("config", LAYOUTS)
def test_the_published_layouts_give_the_published_splits(tmp_path, config):
    """configs/ of pictures of one's own, on a folder as it is published: each split by itself."""
    root = tmp_path / "data"
    for number, (folder, count) in enumerate(LAYOUTS[config].items()):
        for i in range(count):
            made = side_by_side(100 * number + i) if config == "facades" else photo(100 * number + i)
            save(made, root / folder / f"{i}.png")
    text = take(DEFAULTS, (ROOT / f"configs/{config}.yaml").read_text(), DEFAULTS, config)[0]
    values = yaml.safe_load(text)
    values["fetch"]["path"] = str(root)
    if config == "facades":
        values["shard"]["cut"]["tolerance"] = 400  # these are no drawings in the colours of the set
    parsed = parse_params(values, config)
    fetch(TypeAdapter(FetchConfig).validate_python(values["fetch"]), tmp_path / "raw", tmp_path / "cache")
    source = open_source(tmp_path / "raw", TypeAdapter(CutConfig).validate_python(values["shard"]["cut"]))
    counts = {split: len(units) for split, units in source.splits.items()}
    if config == "facades":
        assert counts == {"train": 12, "val": 4, "test": 5}
        manifest = write_shards(source, tmp_path / "shards", ShardConfig(num_workers=1))
        assert {split: manifest.count(split) for split in manifest.splits} == counts
    elif config == "unpaired":
        assert {split: n for split, n in counts.items() if split.startswith("test")} == {
            f"test/{parsed.fetch.a.name}": 4,
            f"test/{parsed.fetch.b.name}": 3,
        }
        assert sum(counts.values()) == 28
    else:
        assert sum(counts.values()) == 21


STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    2**31,
    10**30,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    3.5,
    "",
    "x",
    "a\nb",
]
STRANGE += ["\u202e", "x" * 5000, "70", "2026-01-01", "../..", "~", "null", [], [[]], [1, 2, 3], [0.5, 0.5, 0.5]]
STRANGE += [{}, {"name": "x"}, {"choice": []}, {"x": {"y": {"z": 1}}}, [None] * 300, {str(i): i for i in range(300)}]


def mutated(values: Any, chance: random.Random) -> Any:
    """Params with one to three places changed to something else."""
    values = deepcopy(values)
    for _ in range(chance.randint(1, 3)):
        place, key = values, chance.choice(list(values))
        while isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
            place = place[key]
            key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
        way = chance.random()
        if way < 0.7:
            place[key] = chance.choice(STRANGE)
        elif way < 0.8 and isinstance(place, dict):
            place[chance.choice(["size", "x", "", "näme", "a b", "name"])] = chance.choice(STRANGE)
        elif way < 0.9 and isinstance(place, dict):
            del place[key]
        else:
            other = chance.choice([values, *(inner for inner in values.values() if isinstance(inner, dict))])
            place[key] = deepcopy(other)
        if not values:
            break
    return values


def outcome(text: str, folder: Path) -> str:
    """What a params file comes to: empty where it is taken or refused as it should be, else what is wrong."""
    path = folder / "params.yaml"
    path.write_text(text)
    began = time.perf_counter()
    try:
        check_plan(load_params(path))
    except Fault as fault:
        said = str(fault)
        if "\n" in said or len(said) > 300:
            return f"{len(said)} letters: {said[:80]!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "slow" if time.perf_counter() - began > 10 else ""


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """So many mutants of the default params and of the configs over them; what is wrong with each."""
    chance = random.Random(seed)
    configs = [path.read_text() for path in sorted((ROOT / "configs").glob("*.yaml"))]
    bases = [yaml.safe_load(take(DEFAULTS, text, DEFAULTS, "x")[0]) for text in chance.sample(configs, 4)]
    return [outcome(yaml.safe_dump(mutated(chance.choice(bases), chance)), folder) for _ in range(count)]


def test_some_mutants_of_params_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [wrong for wrong in fuzz(40, 0, tmp_path) if wrong] == []


def test_the_tables_params_are_read_as_strictly(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("cells: &x {run: [*x]}\n")
    assert "deep" in refusal(load_tables, path)


def test_a_plan_is_checked_again_when_params_or_code_change(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code := tmp_path / "code").mkdir()
    (code / "a.py").write_text("1")
    checked = []
    monkeypatch.setattr(plan, "_CODE", code)
    monkeypatch.setattr(plan, "_check", checked.append)
    params = load_params(ROOT / "params.yaml")
    plan.check_plan(params)
    plan.check_plan(params)
    assert len(checked) == 1
    (code / "a.py").write_text("12")
    plan.check_plan(params)
    assert len(checked) == 2
    (code / "b.py").write_text("")
    plan.check_plan(params)
    assert len(checked) == 3
    plan.check_plan(params.model_copy(update={"train": params.train.model_copy(update={"seed": 7})}))
    assert len(checked) == 4
