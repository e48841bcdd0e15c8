"""Asked: what a generator is asked to make of the test samples, the same wherever it is used."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.models.card import Card
from components.models.generator import Generator
from components.samples.domain import Domain
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.turns import Turns, open_turns
from components.storage.home import AnyPath

_BATCH = 64


@dataclass(frozen=True)
class Asked:
    """What a generator is asked to make of a split.

    Of a source, each sample is translated; within one domain, in turn to every other condition
    (components/shards/turns.py). Without a source there are as many pictures as samples, or `count`: picture i is made
    from seed i and, where a condition is asked for, of the condition of sample i (in turn, if there are more).

    Attributes:
        split: of samples that show the source or, without one, the target.
    """

    card: Card
    split: Split
    count: int | None = None

    @cached_property
    def turns(self) -> Turns | None:
        """What each sample is asked for where pictures are shown in another condition.

        Raises:
            Fault: a class has too few samples.
        """
        task = self.card.task
        return open_turns(self.split, task.condition) if task.within and task.condition is not None else None

    def __len__(self) -> int:
        if self.turns is not None:
            return len(self.turns.keys)
        return len(self.split) if self.card.source is not None or self.count is None else self.count

    @property
    def keys(self) -> list[str]:
        """The name of each picture: its sample's, its turn's or, where there are more than samples, its seed's."""
        if self.turns is not None:
            return self.turns.keys
        if len(self) == len(self.split):
            return self.split.keys
        return [f"seed_{i:06d}" for i in range(len(self))]

    def sample(self, place: int) -> int:
        """Which sample of the split a picture belongs to: its source's or, without one, its condition's."""
        return place % len(self.split) if self.turns is None else int(self.turns.places[place])

    def sources(self, places: Sequence[int]) -> np.ndarray:
        """The pictures that are translated, (N, H, W, 3) or (N, H, W)."""
        name = self.card.task.source
        assert name is not None
        return np.stack([self.split.picture(self.sample(i), name) for i in places])

    def made(self, generator: Generator, places: Sequence[int]) -> np.ndarray:
        """The pictures at some places, as `Generator.make` gives them."""
        if self.card.task.source is not None:
            conditions, references = self.conditions(places), self.references(places)
            return generator.make(sources=self.sources(places), conditions=conditions, references=references)
        return generator.make(seeds=list(places), conditions=self.conditions(places))

    def conditions(self, places: Sequence[int]) -> np.ndarray | None:
        """The conditions at some places, as samples hold them, (N, ...); None where none is asked for."""
        condition = self.card.task.condition
        if condition is None:
            return None
        if self.turns is not None:
            return self.turns.asked[list(places)]
        return np.stack([self.split.picture(self.sample(i), condition) for i in places])

    def references(self, places: Sequence[int]) -> np.ndarray | None:
        """The pictures in whose style some places are made, (N, H, W, 3); None where none are given."""
        name = self.card.task.reference
        if name is None:
            return None
        assert self.turns is not None
        return np.stack([self.split.picture(int(self.turns.references[i]), name) for i in places])

    def all(self, generator: Generator) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Every picture, as (key, {target domain: picture})."""
        keys = self.keys
        for start in range(0, len(self), _BATCH):
            places = range(start, min(start + _BATCH, len(self)))
            for place, picture in zip(places, self.made(generator, places), strict=True):
                yield keys[place], {self.card.task.target: picture}


def open_asked(root: AnyPath, card: Card, split: str = "test", count: int | None = None) -> Asked:
    """What a generator is asked to make of a split of the shards in `root`."""
    shown = card.task.source or card.task.target
    return Asked(card, Split(root, Manifest.read(root).side(split, shown)), count)


def unlike(card: Card, manifest: Manifest) -> str:
    """What of a set is not as a generator needs it, such as `no labels; there are photo`; empty where all is."""
    asked = (card.task.condition, card.condition) if card.task.within else (None, None)
    for name, domain in ((card.task.source, card.source), (card.task.target, card.target), asked):
        if name is None or domain is None:
            continue
        held = manifest.domains.get(name)
        if held is None:
            return f"no {name}; there are {', '.join(manifest.domains)}"
        if held.size != domain.size:
            sizes = ["x".join(map(str, size)) if size else "no size" for size in (held.size, domain.size)]
            return f"{name} of {sizes[0]}, and this model knows {name} of {sizes[1]}"
        if not alike(held, domain):
            return f"{name} of another kind or with other classes than this model knows"
    return ""


def alike(first: Domain | None, second: Domain | None) -> bool:
    """Whether two domains hold the same pictures; how networks see them may differ."""
    if first is None or second is None:
        return first is second
    return first.model_copy(update={"encoding": second.encoding}) == second
