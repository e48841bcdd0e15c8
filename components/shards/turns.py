"""Turns: the samples of a split, each in turn asked for every other category than its own, or with each of its
attributes the other way round."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from components.faults import Fault
from components.samples.condition import in_turn
from components.samples.domain import Domain, Picture
from components.samples.key import shortened
from components.shards.manifest import Manifest
from components.shards.reader import Split

_LEAST = 2  # pictures of a class that can be measured


@dataclass(frozen=True)
class Way:
    """Those of the turns whose pictures are compared together.

    Attributes:
        name: such as `soft to hard`, or `hat=1` of attributes.
        turns: their places among the turns. end: what they lead to, by its place in `Turns.names`.
    """

    name: str
    turns: NDArray[np.int64]
    end: int


@dataclass(frozen=True)
class Turns:
    """What is made of a split where pictures of one domain are shown in another condition, N pictures in all.

    They are in the order of the samples and, of one sample, in that of the classes. What a turn leads to is a class or,
    of attributes, the one value of the one attribute that it changes: `names` has them all.

    Attributes:
        split: of the samples. condition: the category or the attributes. keys: of the pictures, KEY-to-END.
        places: (N,) of each picture's source in the split. asked: (N, ...) the condition that it is asked for.
        ends: (N,) what it leads to, by its place in `names`.
    """

    split: Split
    condition: str
    keys: list[str]
    places: NDArray[np.int64]
    asked: Picture
    ends: NDArray[np.int64]

    @cached_property
    def shown(self) -> Picture:
        """The condition of each sample of the split, (len(split), ...)."""
        return _shown(self.split, self.condition)

    @property
    def domain(self) -> Domain:
        """Of the condition."""
        return self.split.manifest.domains[self.condition]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, or of the attributes."""
        return self.domain.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Of all that turns can lead to: the classes, or both values of each attribute."""
        return end_names(self.domain)

    @cached_property
    def members(self) -> NDArray[np.bool_]:
        """Which samples of the split show what, (len(split), len(names))."""
        return members_of(self.split, self.condition)

    def ways(self) -> Iterator[Way]:
        """The turns from one class to another, for each ordered pair; or those that give one attribute one value."""
        starts = range(len(self.classes)) if self.domain.exclusive else (None,)
        for start in starts:
            for end, name in enumerate(self.names):
                if start == end:
                    continue
                mine = self.ends == end
                if start is not None:
                    mine &= self.shown[self.places] == start
                yield Way(name if start is None else f"{self.names[start]} to {name}", np.flatnonzero(mine), end)

    @cached_property
    def truths(self) -> NDArray[np.int64] | None:
        """Where in the split the true picture of each is, (N,); None where the set does not hold all of them.

        Keys that end in the names of classes tell: the true picture of `1f600-noto` as twemoji is `1f600-twemoji`.
        """
        if not self.domain.in_key:
            return None
        sources, names = self.split.keys, self.classes
        there = {key: place for place, key in enumerate(sources)}
        stems = [key.removesuffix(f"-{names[kind]}") for key, kind in zip(sources, self.shown, strict=True)]
        true = [f"{stems[i]}-{names[kind]}" for i, kind in zip(self.places, self.asked, strict=True)]
        return np.array([there[key] for key in true], np.int64) if there.keys() >= set(true) else None

    @cached_property
    def partners(self) -> NDArray[np.int64]:
        """Where a picture is that shows what each leads to, (N,).

        The true one or, where there is none, each of those that show it in turn.
        """
        if self.truths is not None:
            return self.truths
        partners = np.empty(len(self.keys), np.int64)
        for end in range(len(self.names)):
            mine, theirs = np.flatnonzero(self.ends == end), np.flatnonzero(self.members[:, end])
            partners[mine] = theirs[np.arange(len(mine)) % len(theirs)]
        return partners

    @cached_property
    def references(self) -> NDArray[np.int64]:
        """Where a picture is in whose style each is made, (N,): one that shows what it leads to, chosen by its key.

        It is not the true one, unless there is no other.
        """
        members = [np.flatnonzero(mine) for mine in self.members.T]
        found = []
        for i, (key, end) in enumerate(zip(self.keys, self.ends, strict=True)):
            there = members[end]
            place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % len(there)
            if self.truths is not None and there[place] == self.truths[i]:
                place = (place + 1) % len(there)
            found.append(there[place])
        return np.array(found, np.int64)


def open_turns(split: Split, condition: str) -> Turns:
    """All turns of a split.

    Raises:
        Fault: a class, or a value of an attribute, has fewer than two samples in the split, so that nothing can be
            compared with it.
    """
    require_each_class(split.manifest, split.name, condition)
    domain, shown = split.manifest.domains[condition], _shown(split, condition)
    named = [re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in end_names(domain)]
    if len(set(named)) < len(named):
        named = [str(end) for end in range(len(named))]
    turns = [(wanted, (wanted != shown).reshape(len(shown), -1).any(axis=1)) for wanted in in_turn(domain, shown)]
    keys, places, asked, ends = [], [], [], []
    for place, key in enumerate(split.keys):
        for number, (wanted, differs) in enumerate(turns):
            if not differs[place]:
                continue
            end = number if domain.exclusive else 2 * number + 1 - int(wanted[place, number])
            keys.append(shortened(f"{key}-to-{named[end]}"))
            places.append(place)
            asked.append(wanted[place])
            ends.append(end)
    return Turns(split, condition, keys, np.array(places, np.int64), np.stack(asked), np.array(ends, np.int64))


def end_names(domain: Domain) -> tuple[str, ...]:
    """What turns can lead to: the classes of a category, or both values of each attribute, such as `hat=1`."""
    if domain.exclusive:
        return domain.classes
    return tuple(f"{name}={value}" for name in domain.classes for value in (1, 0))


def members_of(split: Split, condition: str) -> NDArray[np.bool_]:
    """Which samples of a split show what, (len(split), len(end_names))."""
    holds = split.histograms(condition) > 0
    if split.manifest.domains[condition].exclusive:
        return holds
    return np.stack([holds, ~holds], axis=2).reshape(len(holds), -1)


def require_each_class(manifest: Manifest, split: str, condition: str, least: int = _LEAST) -> None:
    """Refuse a split in which a class, or a value of an attribute, has fewer than so many samples.

    Raises:
        Fault: naming the class and the split.
    """
    domain, counts = manifest.domains[condition], list(manifest.totals[split][condition])
    if not domain.exclusive:
        counts = [each for count in counts for each in (count, manifest.count(split) - count)]
    for name, count in zip(end_names(domain), counts, strict=True):
        if count < least:
            raise Fault(
                f"{condition} {name} has {count} of the {split} samples, and pictures are to be shown in it: "
                f"{least} are the least; hold out more, or leave it out of the classes"
            )


def require_varied(manifest: Manifest, condition: str) -> None:
    """Refuse an attribute that has one value in all of the training samples, of which nothing can be learned.

    Raises:
        Fault: naming it.
    """
    if manifest.aligned and manifest.domains[condition].kind == "attributes":
        require_each_class(manifest, "train", condition, least=1)


def _shown(split: Split, condition: str) -> Picture:
    held = split.histograms(condition)
    return (held.argmax(axis=1) if split.manifest.domains[condition].exclusive else held).astype(np.uint8)
