"""Gathers the pictures of several domains in one domain, with a category that says where each comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from components.faults import Fault
from components.samples.domain import Domain, DomainName, Picture
from components.samples.key import LONGEST, shortened
from components.samples.source import Shown, Source
from components.samples.task import Task

PICTURE, KIND = "picture", "kind"
_BY_KIND = Task(target=PICTURE, condition=KIND)
_STEM = LONGEST - 16  # the longest start of a key, beside `-` and the longest name of a domain


def _several(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) == 1 or len(set(names)) < len(names):
        raise ValueError("name two or more domains, each once")
    return names


GatherNames = Annotated[tuple[DomainName, ...], Field(max_length=255), AfterValidator(_several)]
"""The param `shard.gather`: which domains' pictures are gathered; empty leaves the samples as they are."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """One picture of one sample of the source."""

    key: str
    unit: Any
    domain: str


@dataclass(frozen=True)
class GatheredSource:
    """Each picture of a source's samples as a sample of its own."""

    source: Source
    domains: Mapping[str, Domain]
    task: Task
    splits: Mapping[str, Sequence[Gathered]]

    @property
    def name(self) -> str:
        """The source's own."""
        return self.source.name

    def read(self, unit: Gathered, /) -> dict[str, Picture]:
        """The picture and which domain it was of, as a class index.

        Raises:
            Fault: what the source raises.
        """
        kind = self.domains[KIND].classes.index(unit.domain)
        return {PICTURE: self.source.read(unit.unit)[unit.domain], KIND: np.array(kind, np.uint8)}


def gathered(source: Source, names: Sequence[str], task: Task | None = None) -> GatheredSource:
    """Make samples of single pictures out of a source's, aligned or not.

    The splits stay: what one sample shows is in one split. The key of each picture ends in `-` and its domain's name.

    Args:
        names: the domains whose pictures are taken, all others being left out.
        task: the default task, instead of a picture in the kind that is asked for.

    Raises:
        Fault: a domain is not there, is no image, or has another size than the first.
    """
    aligned = not any("/" in split for split in source.splits)
    shown = gathered_domains(Shown(source.domains, source.task, aligned), names)
    splits: dict[str, list[Gathered]] = {}
    for split, units in source.splits.items():
        name, _, only = split.partition("/")
        kinds = [only] if only else names
        splits.setdefault(name, []).extend(
            Gathered(f"{shortened(unit.key, _STEM)}-{kind}", unit, kind)
            for unit in units
            for kind in kinds
            if kind in names
        )
    ordered = {name: sorted(units, key=lambda unit: unit.key) for name, units in splits.items()}
    task = task or shown.task
    if missing := [name for name in task.domains if name not in shown.domains]:
        raise Fault(f"shard.task: {missing[0]}: no such domain; shard.gather leaves {PICTURE} and {KIND}")
    return GatheredSource(source, shown.domains, task, ordered)


def gathered_domains(shown: Shown, names: Sequence[str]) -> Shown:
    """What samples hold once the pictures of some domains are gathered.

    Raises:
        Fault: as `gathered`.
    """
    for name in names:
        if name not in shown.domains:
            raise Fault(f"shard.gather: {name}: no such domain; there are {', '.join(shown.domains)}")
        if shown.domains[name].kind != "image":
            raise Fault(f"shard.gather: {name} is of kind {shown.domains[name].kind}; only images can be gathered")
        size, first = shown.domains[name].size, shown.domains[names[0]].size
        if size != first:
            raise Fault(f"shard.gather: {names[0]} and {name} differ in size; pictures of one domain have one size")
    domains = {
        PICTURE: Domain(kind="image", size=shown.domains[names[0]].size),
        KIND: Domain(kind="category", classes=tuple(names), in_key=shown.aligned),
    }
    return Shown(domains, _BY_KIND)
