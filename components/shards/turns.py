"""Turns: the samples of a split, each in turn asked for every other category than its own."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from components.faults import Fault
from components.shards.manifest import Manifest
from components.shards.reader import Split

_LEAST = 2  # pictures of a category that can be measured
_KEY = 80  # the longest key, and how much of its sha256 a shortened one ends in
_DIGITS = 12


@dataclass(frozen=True)
class Turns:
    """What is made of a split where pictures of one domain are shown in another category, N pictures in all.

    They are in the order of the samples and, of one sample, in that of the classes.

    Attributes:
        split: of the samples. condition: the category. keys: of the pictures, KEY-to-CLASS.
        places: (N,) of each picture's source in the split. asked: (N,) the class that it is asked for.
    """

    split: Split
    condition: str
    keys: list[str]
    places: NDArray[np.int64]
    asked: NDArray[np.uint8]

    @cached_property
    def shown(self) -> NDArray[np.int64]:
        """The class of each sample of the split, (len(split),)."""
        return _shown(self.split, self.condition)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the category's classes."""
        return self.split.manifest.domains[self.condition].classes

    @cached_property
    def truths(self) -> NDArray[np.int64] | None:
        """Where in the split the true picture of each is, (N,); None where the set does not hold all of them.

        Keys that end in the names of classes tell: the true picture of `1f600-noto` as twemoji is `1f600-twemoji`.
        """
        if not self.split.manifest.domains[self.condition].in_key:
            return None
        sources, names = self.split.keys, self.classes
        there = {key: place for place, key in enumerate(sources)}
        stems = [key.removesuffix(f"-{names[kind]}") for key, kind in zip(sources, self.shown, strict=True)]
        true = [f"{stems[i]}-{names[kind]}" for i, kind in zip(self.places, self.asked, strict=True)]
        return np.array([there[key] for key in true], np.int64) if there.keys() >= set(true) else None

    @cached_property
    def partners(self) -> NDArray[np.int64]:
        """Where a picture is that shows the class which each is asked for, (N,).

        The true one or, where there is none, each of that class in turn.
        """
        if self.truths is not None:
            return self.truths
        partners = np.empty(len(self.keys), np.int64)
        for kind in range(len(self.classes)):
            mine, theirs = np.flatnonzero(self.asked == kind), np.flatnonzero(self.shown == kind)
            partners[mine] = theirs[np.arange(len(mine)) % len(theirs)]
        return partners

    @cached_property
    def references(self) -> NDArray[np.int64]:
        """Where a picture is in whose style each is made, (N,): of the class that it is asked for, chosen by its key.

        It is not the true one, unless the class has no other.
        """
        members = [np.flatnonzero(self.shown == kind) for kind in range(len(self.classes))]
        found = []
        for i, (key, kind) in enumerate(zip(self.keys, self.asked, strict=True)):
            there = members[kind]
            place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % len(there)
            if self.truths is not None and there[place] == self.truths[i]:
                place = (place + 1) % len(there)
            found.append(there[place])
        return np.array(found, np.int64)


def open_turns(split: Split, condition: str) -> Turns:
    """All turns of a split.

    Raises:
        Fault: a class has fewer than two samples in the split, so that nothing can be compared with it.
    """
    require_each_class(split.manifest, split.name, condition)
    names = split.manifest.domains[condition].classes
    ends = [re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in names]
    if len(set(ends)) < len(ends):
        ends = [str(kind) for kind in range(len(names))]
    keys, places, asked = [], [], []
    for place, (key, own) in enumerate(zip(split.keys, _shown(split, condition), strict=True)):
        for kind in range(len(names)):
            if kind != own:
                keys.append(_shortened(f"{key}-to-{ends[kind]}"))
                places.append(place)
                asked.append(kind)
    return Turns(split, condition, keys, np.array(places, np.int64), np.array(asked, np.uint8))


def require_each_class(manifest: Manifest, split: str, condition: str) -> None:
    """Refuse a split in which a class has fewer than two samples.

    Raises:
        Fault: naming the class and the split.
    """
    for name, count in zip(manifest.domains[condition].classes, manifest.totals[split][condition], strict=True):
        if count < _LEAST:
            raise Fault(
                f"{condition} {name} has {count} of the {split} samples, and pictures are to be shown in it: "
                f"{_LEAST} are the least to compare with; hold out more, or leave the class out"
            )


def _shown(split: Split, condition: str) -> NDArray[np.int64]:
    return split.histograms(condition).argmax(axis=1)


def _shortened(key: str) -> str:
    if len(key) <= _KEY:
        return key
    return f"{key[: _KEY - _DIGITS - 1]}-{hashlib.sha256(key.encode()).hexdigest()[:_DIGITS]}"
