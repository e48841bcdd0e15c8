"""Tars that somebody else made, as samples."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
import yaml
from PIL import Image
from pydantic import ValidationError

from components.faults import Fault
from components.fragment import take
from components.params import parse_params
from components.plan import check_plan, check_shards
from components.samples.source import BadSample
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.writer import write_shards
from components.sources import fetch, open_source
from components.sources.webdataset_config import WebdatasetConfig, WebdatasetCut
from components.stage import Clock
from pipelines import fetch as stage_fetch
from pipelines import shard as stage_shard
from tests.conftest import TINY_CLASSES, tiny_sample
from tests.test_graph import ROOT, SMALL

MEMBERS = {"jpg": "photo", "seg.png": "labels", "cls": "kind"}
DOMAINS = {"labels": {"classes": ["sea", "land"]}, "kind": {"classes": ["cat", "dog"]}}


def file(picture, format_name):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, format_name)
    return out.getvalue()


def photo(value, size=(8, 8)):
    return file(np.full((*size, 3), value, np.uint8), "JPEG")


def sample(number):
    labels = file(np.full((8, 8), number % 2, np.uint8), "PNG")
    return {
        "__key__": f"{number:03d}",
        "jpg": photo(number),
        "seg.png": labels,
        "cls": number % 2,
        "json": {"n": number},
    }


def tar(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path)) as writer:
        for each in samples:
            writer.write(each)


def raw_tar(path, *members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))


def opened(tmp_path, **changes):
    values = {"name": "webdataset", "path": str(tmp_path / "in"), "members": MEMBERS, "domains": DOMAINS} | changes
    values["domains"] = {k: v for k, v in values["domains"].items() if k in values["members"].values()}
    fetch(WebdatasetConfig.model_validate(values), tmp_path / "raw", tmp_path / "cache")
    return open_source(tmp_path / "raw", WebdatasetCut(name="webdataset", image_size=4))


def sizes(source):
    return {split: len(units) for split, units in source.splits.items()}


def test_every_member_reaches_the_shards_as_its_domain(tmp_path, capsys):
    tar(tmp_path / "in/a-train-000.tar", map(sample, range(6)))
    tar(tmp_path / "in/deep/val-0.tar.gz", map(sample, range(6, 8)))
    tar(tmp_path / "in/b_test.tar", map(sample, range(8, 11)))
    source = opened(tmp_path)
    assert "3 tars, 11 samples, 0 of them incomplete; passed over 11 .json" in capsys.readouterr().err
    assert source.task == Task(source="labels", target="photo")
    assert {name: domain.kind for name, domain in source.domains.items()} == {
        "photo": "image",
        "labels": "label",
        "kind": "category",
    }
    manifest = write_shards(source, tmp_path / "shards", ShardConfig())
    assert {split: manifest.count(split) for split in manifest.splits} == {"train": 6, "val": 2, "test": 3}
    split = Split(tmp_path / "shards", "test")
    for number in range(3):
        key, held = split.read(number)
        assert key == f"{8 + number:03d}"
        assert held["photo"].shape == (4, 4, 3)
        assert np.abs(held["photo"].astype(int) - (8 + number)).max() <= 1  # what JPEG keeps of a flat grey
        assert (held["labels"] == number % 2).all()
        assert held["kind"] == number % 2


def test_our_own_shards_are_such_tars_and_come_back_as_they_were(tmp_path, tiny_shards):
    kept = Split(tiny_shards, "train")
    endings = {f"{name}.png": name for name in kept.domains}
    source = opened(tmp_path, path=str(tiny_shards), members=endings, domains=_as_params(kept.domains))
    assert sizes(source) == {split: len(Split(tiny_shards, split)) for split in ("train", "val", "test")}
    key, held = kept.read(0)
    unit = next(unit for unit in source.splits["train"] if unit.name == key)
    size = next(iter(kept.domains.values())).height_width
    whole = open_source(tmp_path / "raw", WebdatasetCut(name="webdataset", image_size=size)).read(unit)
    assert all(np.array_equal(held[name], whole[name]) for name in kept.domains)


def _as_params(domains):
    return {name: {"classes": domain.classes} for name, domain in domains.items() if domain.kind == "label"}


def test_splits_are_held_out_or_said_by_patterns(tmp_path):
    tar(tmp_path / "in/0.tar", map(sample, range(20)))
    tar(tmp_path / "in/1.tar", [sample(number) | {"jpg": photo(number + 20)} for number in range(3)])  # the same keys
    source = opened(tmp_path)
    assert sizes(source) == {"train": 19, "val": 2, "test": 2}
    keys = sorted(unit.key for units in source.splits.values() for unit in units)
    assert keys == sorted([f"{n:03d}" for n in range(3, 20)] + [f"{tar}_{n:03d}" for tar in "01" for n in range(3)])
    source = opened(tmp_path, splits={"1/*": "test", "0/01*": "val"})
    assert sizes(source) == {"train": 10, "val": 10, "test": 3}
    with pytest.raises(Fault, match=r"fetch\.splits: 2/\* matches no sample"):
        opened(tmp_path, splits={"2/*": "test"})


def test_two_splits_in_one_path_and_a_photo_in_two_splits_are_refused(tmp_path):
    tar(tmp_path / "in/test-data/train.tar", map(sample, range(4)))
    with pytest.raises(Fault, match=r"train\.tar: sample 000: its path names two splits, test and train; say in"):
        opened(tmp_path)
    tar(tmp_path / "in/val.tar", map(sample, range(2)))
    with pytest.raises(Fault, match=r"leak between splits: .*train/000\.jpg \(in train\) and val\.tar: val/000\.jpg"):
        opened(tmp_path, splits={"test-data/*": "train"})


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (["1.0.jpg", "1.1.jpg"], r"0\.tar: sample 1: 1\.0\.jpg ends in '0\.jpg', since a key ends at its first dot"),
        (["1.jpg", "1.JPG"], r"0\.tar: sample 1: has two members for photo, \.jpg and \.jpg"),
        (["1.jpg", "1.png"], r"0\.tar: sample 1: has two members for photo, \.jpg and \.png"),
        (["1.jpg", "2.jpg", "1.cls"], r"0\.tar: sample 1: its members do not stand together"),
        (["1.txt", "2.txt"], r"in: no sample has a member of each domain"),
        (["../1.jpg", "../1.cls"], r"0\.tar: member '\.\./1\.jpg' would land outside"),
    ],
)
def test_tars_that_the_library_would_read_wrongly_are_refused_by_tar_and_key(tmp_path, members, said):
    raw_tar(tmp_path / "in/0.tar", *((name, photo(1)) for name in members))
    with pytest.raises(Fault, match=said):
        opened(tmp_path, members={"jpg": "photo", "png": "photo", "cls": "kind"})


def test_a_cut_or_damaged_tar_is_refused_and_leaves_nothing(tmp_path):
    tar(tmp_path / "in/0.tar", map(sample, range(6)))
    whole = (tmp_path / "in/0.tar").read_bytes()
    for length in range(
        512, len(whole.rstrip(b"\0")), 1536
    ):  # some end between two members, which the library would not see
        (tmp_path / "in/0.tar").write_bytes(whole[:length])
        with pytest.raises(Fault, match=r"0\.tar: broken or truncated archive"):
            opened(tmp_path)
    assert not (tmp_path / "raw/webdataset").exists()


def test_a_damaged_tar_is_read_or_refused_and_nothing_else(tmp_path):
    tar(tmp_path / "in/0.tar", map(sample, range(4)))
    intact, random = bytearray((tmp_path / "in/0.tar").read_bytes()), np.random.default_rng(0)
    headers = [place for place in range(0, len(intact), 512) if intact[place + 257 : place + 262] == b"ustar"]
    refused = []
    for _ in range(150):
        damaged = bytearray(intact)
        place = int(random.choice(headers)) + int(random.integers(0, 512))
        damaged[place] = int(random.integers(0, 256))
        (tmp_path / "in/0.tar").write_bytes(damaged)
        try:
            opened(tmp_path)
        except Fault as fault:
            refused.append(str(fault))
    assert len(refused) > 100
    assert not [line for line in refused if "\n" in line]


def test_incomplete_and_bad_samples_are_counted_and_named_and_max_bad_lets_them_pass(tmp_path, capsys):
    broken = [
        ({"jpg": None}, r"0\.tar: sample 100: has no member \.jpg for photo"),
        ({"cls": b"7"}, r"0\.tar: sample 101: \.cls: b'7' is no index of the 2 classes \(0 to 1\)"),
        ({"cls": b"dog"}, r"0\.tar: sample 102: \.cls: b'dog' is no index"),
        ({"seg.png": photo(1)}, r"0\.tar: sample 103: \.seg\.png: JPEG changes pixels"),
        ({"jpg": b"text"}, r"0\.tar: sample 104: \.jpg: not a PNG"),
        ({"jpg": photo(1, (4, 8))}, r"0\.tar: sample 105: pictures of unequal sizes, photo 8x4 and labels 8x8"),
    ]
    bad = [sample(100 + number) | change for number, (change, _) in enumerate(broken)]
    bad[0].pop("jpg")
    tar(tmp_path / "in/0.tar", [*map(sample, range(10)), *bad])
    source = opened(tmp_path, splits={"*/00[01]": "val", "*/00[23]": "test"})
    assert "16 samples, 1 of them incomplete" in capsys.readouterr().err
    with pytest.raises(Fault, match=rf"6 bad samples, more than shard\.max_bad = 0; the first: {broken[0][1]}"):
        write_shards(source, tmp_path / "shards", ShardConfig())
    manifest = write_shards(source, tmp_path / "shards", ShardConfig(max_bad=6))
    assert manifest.count("train") == 6
    for entry, (_, said) in zip(manifest.bad, broken, strict=True):
        with pytest.raises(Fault, match=said):
            raise Fault(entry.reason)


def test_attributes_are_a_list_or_an_object_of_names(tmp_path):
    good = [[0, 1], {"old": 1, "hat": 0, "n": 7}, [1, 1]]
    bad = [
        ([0, 2], r"\.json: the attribute old is '2', neither 0 nor 1"),
        ([0], r"\.json: b'\[0\]' is no list of the 2 attributes"),
        ({"hat": 1}, r"\.json: has no attribute old"),
        (b"{", r"\.json: b'\{' is no JSON"),
    ]
    said = [*good, *(value for value, _ in bad)]
    tar(tmp_path / "in/0.tar", [{"__key__": str(i), "jpg": photo(i), "json": value} for i, value in enumerate(said)])
    domains = {"traits": {"classes": ["hat", "old"]}}
    source = opened(tmp_path, members={"jpg": "photo", "json": "traits"}, domains=domains)
    assert source.domains["traits"].kind == "attributes"
    units = {unit.name: unit for units in source.splits.values() for unit in units}
    assert [source.read(units[key])["traits"].tolist() for key in "012"] == [[0, 1], [0, 1], [1, 1]]
    for key, (_, refusal) in zip("3456", bad, strict=True):
        with pytest.raises(BadSample, match=rf"0\.tar: sample {key}: {refusal}"):
            source.read(units[key])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"members": {"mp4": "clip"}, "domains": {}},
            "members: mp4 is the ending of no picture, of no index",
        ),
        (
            {"members": {"jpg": "photo", "cls": "photo"}, "domains": {}},
            r"photo would be both picture \(jpg\) and category \(cls\)",
        ),
        (
            {"members": {"jpg": "photo", "cls": "kind"}, "domains": {}},
            r"domains\.kind: has classes alone, two or more",
        ),
        ({"members": {"seg.png": "labels"}, "domains": {"labels": DOMAINS["labels"]}}, "names no photo"),
        ({"members": {"JPG": "photo"}}, "String should match pattern"),
        ({"domains": {"depth": {}}}, "domains: depth is the domain of no ending"),
        ({"path": "https://example.org/a.tar"}, "a URL needs sha256"),
    ],
)
def test_params_that_cannot_be_meant_are_refused(change, said):
    values = {"name": "webdataset", "path": "/in", "members": MEMBERS, "domains": DOMAINS} | change
    with pytest.raises(ValidationError, match=said):
        WebdatasetConfig.model_validate(values)


def test_the_task_follows_what_the_members_are():
    def task(members, **domains):
        values = {"name": "webdataset", "path": "/in", "members": members, "domains": domains}
        return WebdatasetConfig.model_validate(values).task

    assert task({"jpg": "photo", "png": "photo"}) == Task(target="photo")
    assert task({"jpg": "photo", "cls": "kind"}, kind=DOMAINS["kind"]) == Task(target="photo", condition="kind")
    assert task({"in.jpg": "day", "out.jpg": "night", "json": None}) == Task(source="day", target="night")


def test_the_config_is_taken_and_passes_the_plan(tmp_path, monkeypatch):
    defaults = (ROOT / "configs/default.yaml").read_text(encoding="utf-8")
    text, _ = take(defaults, (ROOT / "configs/webdataset.yaml").read_text(encoding="utf-8"), defaults, "webdataset")
    monkeypatch.chdir(tmp_path)
    params = parse_params(yaml.safe_load(text), "params")
    check_plan(params)
    assert params.fetch.task == Task(source="labels", target="photo")


def test_tars_go_through_the_stages_fetch_and_shard(tmp_path, monkeypatch):
    for number, (split, count) in enumerate((("train", 6), ("val", 2), ("test", 2))):
        samples = [tiny_sample(100 * number + index) for index in range(count)]
        members = [
            {"__key__": f"{split}{i}", "jpg": file(each["photo"], "JPEG"), "seg.png": file(each["labels"], "PNG")}
            for i, each in enumerate(samples)
        ]
        tar(tmp_path / "tars" / f"{split}-0.tar", members)
    members, domains = {"jpg": "photo", "seg.png": "labels"}, {"labels": {"classes": list(TINY_CLASSES)}}
    fetch_params = {"name": "webdataset", "path": str(tmp_path / "tars"), "members": members, "domains": domains}
    shard_params = {"cut": {"name": "webdataset", "image_size": 32}}
    params = parse_params(SMALL | {"fetch": fetch_params, "shard": shard_params}, "params")
    monkeypatch.chdir(tmp_path)
    check_plan(params)
    for stage in (stage_fetch, stage_shard):
        stage.main(params, Clock("test"))
    check_shards(params, Manifest.read(Path("data/shards")))
    split = Split(Path("data/shards"), "test")
    assert split.keys == ["test0", "test1"]
    assert (split.read(0)[1]["labels"] == tiny_sample(200)["labels"]).all()
