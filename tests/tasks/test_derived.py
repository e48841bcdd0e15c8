"""Derived domains: written into the shards beside the photo, the same each time, and refused by name where wrong."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from pydantic import TypeAdapter

from components.faults import Fault
from components.samples.domain import Domain
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.verify import verify
from components.shards.writer import write_shards
from components.storage.files import sha256_file
from components.tasks.degrade import FILL
from components.tasks.derive import Derivation, MaskedConfig
from components.tasks.derived import derive, derived, hole_of
from tests.conftest import TINY_CLASSES, TINY_PALETTE, TO_LABELS, TO_PHOTO, tiny_sample

ALL = {
    "edges": {"name": "edges", "of": "photo"},
    "grey": {"name": "grey", "of": "photo"},
    "hole": {"name": "masked", "of": "photo", "shape": "free_form", "share": [0.1, 0.3]},
    "small": {"name": "small", "of": "photo", "factor": 4},
    "enlarged": {"name": "small", "of": "photo", "factor": 4, "enlarged": True},
    "soft": {"name": "blurred", "of": "photo", "sigma": 1.5, "noise": 4},
}


def configs(values):
    return {name: TypeAdapter(Derivation).validate_python(value) for name, value in values.items()}


@dataclass(frozen=True)
class Unit:
    key: str
    seed: int


@dataclass
class Tiny:
    """Samples of labels and photo, made on the spot."""

    splits: dict[str, list[Unit]] = field(
        default_factory=lambda: {s: [Unit(f"{s}_{i}", i) for i in range(5)] for s in ("train", "val", "test")}
    )
    domains: dict[str, Domain] = field(
        default_factory=lambda: {
            "labels": Domain(kind="label", classes=TINY_CLASSES, palette=TINY_PALETTE, size=(32, 32)),
            "photo": Domain(kind="image", size=(32, 32)),
        }
    )
    name: str = "tiny"
    task: Task = TO_PHOTO

    def read(self, unit: Unit):
        return tiny_sample(unit.seed)


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_hold_the_derived_pictures_beside_the_photo(tmp_path, workers):
    source = derived(Tiny(), configs(ALL), Task(source="edges", target="photo"))
    config = ShardConfig(samples_per_shard=3, num_workers=workers)
    write_shards(source, tmp_path / "s", config)
    manifest = Manifest.read(tmp_path / "s")
    assert manifest.task == Task(source="edges", target="photo")
    assert list(manifest.domains) == ["labels", "photo", *ALL]
    sizes = {name: (8, 8) if name == "small" else (32, 32) for name in ALL}
    assert all(manifest.domains[name] == Domain(kind="image", size=sizes[name]) for name in ALL)
    split = Split(tmp_path / "s", "test")
    for i in range(5):
        key, pictures = split.read(i)
        assert np.array_equal(pictures["photo"], tiny_sample(i)["photo"])
        assert np.array_equal(pictures["labels"], tiny_sample(i)["labels"])
        for name, derivation in configs(ALL).items():
            assert np.array_equal(pictures[name], derive(derivation, pictures["photo"], key)), name
            assert not np.array_equal(pictures[name], pictures["photo"]), name
    assert not verify(tmp_path / "s")[1]
    write_shards(derived(Tiny(), configs(ALL), Task(source="edges", target="photo")), tmp_path / "again", config)
    files = [path.relative_to(tmp_path / "s") for path in (tmp_path / "s").rglob("*") if path.is_file()]
    assert len(files) == 3 * 2 + 2
    assert all(sha256_file(tmp_path / "s" / file) == sha256_file(tmp_path / "again" / file) for file in files)


def test_nothing_derived_leaves_the_set_as_it_is(tmp_path):
    plain = write_shards(Tiny(), tmp_path / "plain", ShardConfig())
    same = write_shards(derived(Tiny(), {}, None), tmp_path / "same", ShardConfig())
    assert same == plain
    turned = derived(Tiny(), {}, TO_LABELS)
    assert (turned.task, turned.name) == (TO_LABELS, "tiny")


@pytest.mark.parametrize("name", list(ALL))
def test_a_derived_picture_is_a_function_of_photo_key_and_params(name):
    config, photo = configs(ALL)[name], tiny_sample(0)["photo"]
    before = photo.copy()
    first = derive(config, photo, "a")
    assert np.array_equal(photo, before)
    assert (first.shape, first.dtype) == ((8, 8, 3) if name == "small" else photo.shape, np.uint8)
    assert np.array_equal(first, derive(config, photo.copy(), "a"))
    other = derive(config, photo, "b")
    if name in ("hole", "soft"):
        assert not np.array_equal(first, other)
        assert not np.array_equal(first, derive(config.model_copy(update={"seed": 1}), photo, "a"))
    else:
        assert np.array_equal(first, other)


@pytest.mark.parametrize("shape", ["box", "free_form"])
def test_every_sample_has_a_hole_of_its_own_that_can_be_had_again(shape):
    config = MaskedConfig(of="photo", shape=shape, share=(0.1, 0.3))
    holes = {key: hole_of(config, (64, 64), key) for key in (f"k{i}" for i in range(30))}
    assert len({hole.tobytes() for hole in holes.values()}) == 30
    shares = [hole.mean() for hole in holes.values()]
    assert 0.08 < min(shares) < 0.15 < 0.25 < max(shares) < 0.33
    photo = tiny_sample(0, 64)["photo"]
    photo[photo == FILL] = FILL + 1
    for key, hole in holes.items():
        assert np.array_equal((derive(config, photo, key) == FILL).all(axis=2), hole)


def test_one_may_be_made_of_another_that_stands_before_it():
    chain = configs({"grey": {"name": "grey", "of": "photo"}, "tiny": {"name": "small", "of": "grey"}})
    pictures = derived(Tiny(), chain).read(Unit("k", 1))
    assert np.array_equal(pictures["tiny"], derive(chain["tiny"], pictures["grey"], "k"))
    with pytest.raises(Fault, match=r"shard.derive.tiny.of: grey: no such domain; there are labels, photo"):
        derived(Tiny(), {"tiny": chain["tiny"], "grey": chain["grey"]})


@pytest.mark.parametrize(
    ("values", "direction", "message"),
    [
        ({"photo": {"name": "grey", "of": "photo"}}, None, "shard.derive.photo: the source has a domain of that name"),
        ({"grey": {"name": "grey", "of": "labels"}}, None, "labels is a label map; .* from images: photo"),
        ({"grey": {"name": "grey", "of": "phto"}}, None, "shard.derive.grey.of: phto: .* did you mean photo?"),
        ({"low": {"name": "small", "of": "photo", "factor": 5}}, None, "low.factor: 5 does not divide .* 32x32"),
        ({}, Task(source="edges", target="photo"), "shard.task: edges: no such domain; there are labels, photo"),
    ],
)
def test_what_does_not_fit_the_source_is_refused_by_name(values, direction, message):
    with pytest.raises(Fault, match=message) as fault:
        derived(Tiny(), configs(values), direction)
    assert "\n" not in str(fault.value)


def test_two_sets_that_are_not_aligned_are_refused():
    sides = Tiny(splits={f"{split}/{side}": [] for split in ("train", "val", "test") for side in ("labels", "photo")})
    with pytest.raises(Fault, match=r"shard.derive: tiny has two sets of pictures that are not aligned"):
        derived(sides, configs({"grey": ALL["grey"]}))
    assert derived(sides, {}).splits == sides.splits
