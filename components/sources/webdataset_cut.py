"""Samples of tars that somebody else made, all brought to one size."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from components.faults import Fault
from components.samples.domain import Domain, Picture, height_width, sized
from components.samples.source import SPLITS, BadSample, Shown, require_samples
from components.samples.task import Task
from components.sources.fit import fitted
from components.sources.keys import sample_keys
from components.sources.layout import ALIASES, hold_out
from components.sources.leaks import Place, refuse_shared
from components.sources.pictures import open_picture
from components.sources.told import told
from components.sources.webdataset import MEMBERS, stem
from components.sources.webdataset_config import WebdatasetConfig, WebdatasetCut
from components.storage.files import read_json


@dataclass(frozen=True, slots=True)
class Packed:
    """One sample of a tar, and the file of each of its members by domain, below the folder of members."""

    key: str
    tar: str
    name: str
    files: Mapping[str, str]

    @property
    def place(self) -> str:
        """The path of the tar without its ending, and the sample's own key."""
        return f"{stem(self.tar)}/{self.name}"


@dataclass(frozen=True)
class WebdatasetSource:
    """Samples of tars."""

    members: Path
    config: WebdatasetConfig
    cut: WebdatasetCut
    splits: dict[str, list[Packed]]

    @property
    def name(self) -> str:
        """As in `fetch.name`."""
        return "webdataset"

    @property
    def domains(self) -> dict[str, Domain]:
        """What the members are."""
        return dict(shows_webdataset(self.config, self.cut).domains)

    @property
    def task(self) -> Task:
        """As the kinds of the domains suggest."""
        return self.config.task

    def read(self, packed: Packed, /) -> dict[str, Picture]:
        """The pictures of a sample, of the size of the cut, and the indices of its categories and its
        attributes.

        Raises:
            BadSample: a member is missing or broken, pictures differ in size, or a value is of no class.
        """
        found: dict[str, Picture] = {}
        sizes: dict[str, tuple[int, int]] = {}
        for name, domain in self.config.shown.items():
            where = f"{packed.tar}: sample {packed.name}"
            if name not in packed.files:
                endings = " or ".join(f".{ending}" for ending in self.config.endings[name])
                raise BadSample(f"{where}: has no member {endings} for {name}")
            path = self.members / packed.files[name]
            where = f"{where}: .{path.name.partition('.')[2]}"
            if not domain.pictured:
                found[name] = told(path, domain, where)
                continue
            picture = open_picture(path, where)
            sizes[name] = picture.size
            found[name] = fitted(picture, self.config.sides[name], self.cut, where)
        if len(set(sizes.values())) > 1:
            said = " and ".join(f"{name} {width}x{height}" for name, (width, height) in sizes.items())
            raise BadSample(f"{packed.tar}: sample {packed.name}: pictures of unequal sizes, {said}")
        return found


def shows_webdataset(fetch: WebdatasetConfig, cut: WebdatasetCut) -> Shown:
    """What samples contain, according to the params alone."""
    return Shown(sized(fetch.shown, height_width(cut.image_size)), fetch.task)


def open_webdataset(root: Path, cut: WebdatasetCut) -> WebdatasetSource:
    """The samples of data/raw/webdataset.

    Raises:
        Fault: fetch has not run, a split is empty or not clear, or one photo is in two splits.
    """
    about = read_json(root / "webdataset/source.json")
    config = WebdatasetConfig.model_validate(about["config"])
    samples = about["samples"]
    keys = Counter(sample["key"] for sample in samples)
    names = [
        sample["key"] if keys[sample["key"]] == 1 else f"{stem(sample['tar'])}/{sample['key']}" for sample in samples
    ]
    found: dict[str, list[Packed]] = {split: [] for split in SPLITS}
    used: set[str] = set()
    for key, sample in zip(sample_keys(names), samples, strict=True):
        packed = Packed(key, sample["tar"], sample["key"], sample["files"])
        found[_split(packed, config, used)].append(packed)
    if unused := [pattern for pattern in config.splits if pattern not in used]:
        first = next(one.place for ones in found.values() for one in ones)
        raise Fault(
            f"fetch.splits: {unused[0]} matches no sample, or only those that a pattern before it matches; one is "
            f"called {first}"
        )
    splits = hold_out({split: sorted(ones, key=lambda one: one.key) for split, ones in found.items()}, config.holdout)
    require_samples("webdataset", splits, "name its tars in fetch.splits, or give more samples to train on")
    photos = [name for name, domain in config.shown.items() if domain.kind == "image"]
    refuse_shared(
        (about["files"][file], Place(split, "", f"{one.tar}: {file}"))
        for split, ones in splits.items()
        for one in ones
        for name, file in one.files.items()
        if name in photos
    )
    return WebdatasetSource(root / "webdataset" / MEMBERS, config, cut, splits)


def _split(packed: Packed, config: WebdatasetConfig, used: set[str]) -> str:
    """By the first pattern of params that matches; else by the words of the tar's path and of the folders in it."""
    for pattern, split in config.splits.items():
        if fnmatchcase(packed.place, pattern):
            used.add(pattern)
            return split
    folders = packed.place.rpartition("/")[0]
    said = {ALIASES[word] for word in re.split("[^a-z]+", folders.lower()) if word in ALIASES}
    if len(said) > 1:
        raise Fault(
            f"{packed.tar}: sample {packed.name}: its path names two splits, {' and '.join(sorted(said))}; say in "
            'fetch.splits which it is, such as {"*": train}'
        )
    return said.pop() if said else "train"
