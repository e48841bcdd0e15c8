"""Manifest: what is in a folder of shards, with the hash of every file."""

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveInt, ValidationError

from components.domain import Domain
from components.faults import Fault
from components.files import read_json, sha256_json, write_text
from components.schema import Section

MANIFEST = "manifest.json"
INDEX = "index.parquet"


class ShardEntry(Section):
    """One tar: its path below the root, its hash and size in bytes, the keys of its samples in order."""

    path: str
    sha256: str
    bytes: NonNegativeInt
    keys: tuple[str, ...]


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
        domains: what each picture of a sample is.
        direction: (source domain, target domain) of the default task.
        size: (height, width) of every picture, in pixels.
        splits: the shards of each split, in order.
        bad: samples left out.
        index: the Parquet index of the samples.
    """

    version: Literal[1] = 1
    source: str
    domains: dict[str, Domain]
    direction: tuple[str, str]
    size: tuple[PositiveInt, PositiveInt]
    splits: dict[str, tuple[ShardEntry, ...]]
    bad: tuple[BadEntry, ...] = ()
    index: IndexEntry

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read root/manifest.json.

        Raises:
            Fault: it is missing, or is not a manifest.
        """
        path = root / MANIFEST
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Fault(f"{path}: not a manifest ({place}: {first['msg']}); run dvc repro -f shard") from error

    def write(self, root: Path) -> None:
        """Write root/manifest.json atomically."""
        write_text(root / MANIFEST, self.text())

    def text(self) -> str:
        """The manifest as it stands in its file."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"

    @property
    def sha256(self) -> str:
        """The hash of the canonical JSON: one name for all the samples and their bytes."""
        return sha256_json(self.model_dump(mode="json"))

    def keys(self, split: str) -> list[str]:
        """The keys of a split's samples, in index order."""
        return [key for entry in self.splits[split] for key in entry.keys]
