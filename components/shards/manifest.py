"""Manifest: what is in a set of shards, with the hash of every file."""

import os
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import ConfigDict, NonNegativeInt, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from components.faults import Fault
from components.samples.domain import Domain
from components.samples.schema import Section
from components.samples.task import Task
from components.storage.files import read_bytes, sha256_json, write_text
from components.storage.home import AnyPath, located

MANIFEST = "manifest.json"
INDEX = "index.parquet"


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class ShardEntry:
    """One tar: its path, its hash and size in bytes, and how many samples it holds.

    A dataclass with slots, since there may be 10^5 of them on every rank: read in half the time of a
    Section, into half the memory.
    """

    path: str
    sha256: str
    bytes: NonNegativeInt
    samples: NonNegativeInt


class BadEntry(Section):
    """A sample that was left out, and why."""

    split: str
    key: str
    reason: str


class IndexEntry(Section):
    """The sample index that lies beside the manifest."""

    path: str = INDEX
    sha256: str
    bytes: NonNegativeInt


class Manifest(Section):
    """A set of samples in shards.

    Attributes:
        version: of this layout.
        source: the name of the source the samples come from.
        domains: what each picture of a sample is, with its size in pixels.
        task: what is asked of the samples unless params ask for something else.
        root: where the tars are: beside the manifest (None), or the URL of a folder.
        splits: the shards of each split, in order. Of an aligned set they are train, val and test, and each
            sample shows every domain; of an unaligned one train/DOMAIN and so on, and it shows that domain.
        totals: split -> domain with classes that its samples show -> pixels of each class over the
            split; of a category or attributes samples.
        bad: samples left out.
        index: the Parquet index of the samples.
    """

    version: Literal[4] = 4
    source: str
    domains: dict[str, Domain]
    task: Task
    root: str | None = None
    splits: dict[str, tuple[ShardEntry, ...]]
    totals: dict[str, dict[str, tuple[NonNegativeInt, ...]]]
    bad: tuple[BadEntry, ...] = ()
    index: IndexEntry

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len({"/" in split for split in self.splits}) > 1:
            raise ValueError("splits of an aligned and of an unaligned set in one")
        for name, domain in self.domains.items():
            if domain.pictured and domain.size is None:
                raise ValueError(f"domain {name} has no size")
        for split in self.splits:
            held = {name: self.domains[name] for name in self.held(split) if name in self.domains}
            if not held and not self.aligned:
                raise ValueError(f"split {split} shows no domain of the set")
            classes = {name: len(domain.classes) for name, domain in held.items() if domain.classes}
            if {name: len(counts) for name, counts in self.totals.get(split, {}).items()} != classes:
                raise ValueError(f"totals of {split} are not those of the label domains")
        return self

    @staticmethod
    def read(folder: AnyPath) -> "Manifest":
        """Read folder/manifest.json; as long as the file does not change, all callers share one object.

        Raises:
            Fault: it is missing, is not a manifest, or is one of another version.
        """
        path = folder / MANIFEST
        try:
            if not isinstance(path, Path):  # a published one, which is never changed
                return _read(path, ())
            status = path.stat()
            return _read(path, (status.st_mtime_ns, status.st_size, status.st_ino))
        except FileNotFoundError:
            raise Fault(f"{path}: not found; run the stage that writes it (dvc repro)") from None
        except OSError as error:
            raise Fault(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error

    def write(self, folder: AnyPath) -> None:
        """Write folder/manifest.json atomically."""
        write_text(folder / MANIFEST, self.text())

    def text(self) -> str:
        """The manifest as it stands in its file."""
        return self.model_dump_json(indent=1) + "\n"

    @cached_property
    def sha256(self) -> str:
        """One hash of all samples and their bytes, independent of where the tars are and how they are named."""
        named = self.model_dump(mode="json", exclude={"root", "splits", "bad", "index"})
        tars = {name: [[entry.sha256, entry.samples] for entry in entries] for name, entries in self.splits.items()}
        return sha256_json(named | {"splits": tars})

    def location(self, folder: AnyPath, entry: ShardEntry) -> AnyPath:
        """Where a tar lies, for a manifest that was read from `folder`."""
        return (folder if self.root is None else located(self.root)) / entry.path

    def published(self, folder: AnyPath) -> AnyPath:
        """Where every node can read this manifest, which was read from `folder`, and its index.

        If the tars are at a root of their own, a copy of both is there, named by its content.
        """
        if self.root is None:
            return folder.resolve() if isinstance(folder, Path) else folder
        return located(self.root) / "manifests" / f"{self.sha256[:16]}-{self.index.sha256[:8]}"

    @property
    def aligned(self) -> bool:
        """Whether each sample shows every domain."""
        return not any("/" in split for split in self.splits)

    def side(self, split: str, domain: str) -> str:
        """The name of the split whose samples show a domain: of train and horse, train or train/horse.

        Raises:
            Fault: the set has no such domain.
        """
        if domain not in self.domains:
            raise Fault(f"the shards have no domain {domain}; they have {', '.join(self.domains)}")
        return split if self.aligned else f"{split}/{domain}"

    def held(self, split: str) -> tuple[str, ...]:
        """The domains that the samples of a split show."""
        return held_domains(self.domains, split)

    def count(self, split: str) -> int:
        """The number of samples of a split, by its name in `splits`."""
        return sum(entry.samples for entry in self.splits[split])

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.__dict__.pop("sha256", None)  # model_copy(update=...) changes what it is a hash of
        return copied


def held_domains(domains: Iterable[str], split: str) -> tuple[str, ...]:
    """Which of a set's domains the samples of a split show: its own (train/horse), or all (train)."""
    _, slash, domain = split.partition("/")
    return (domain,) if slash else tuple(domains)


@lru_cache(maxsize=4)
def _read(path: AnyPath, identity: tuple[int, ...]) -> Manifest:  # noqa: ARG001 (part of the key)
    try:
        return Manifest.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if place == "version":
            remedy = "it is of another version of pix2pipe; run dvc repro -f shard"
            raise Fault(f"{path}: version {first['input']} of the layout, not 4: {remedy}") from error
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        raise Fault(f"{path}: not a manifest ({problem}); run dvc repro -f shard") from error
