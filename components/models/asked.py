"""Asked: the test samples as a generator is asked for them, the same wherever they are made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from components.home import AnyPath
from components.models.card import Card
from components.models.generator import Generator
from components.shards.manifest import Manifest
from components.shards.reader import Split

_BATCH = 64


@dataclass(frozen=True)
class Asked:
    """What a generator is asked to make of a split.

    Of a source, each sample is translated. Without one there are as many pictures as samples, or `count`: picture i
    is made from seed i and, where a condition is asked for, of the condition of sample i (in turn, if there are more).

    Attributes:
        split: of samples that show the source or, without one, the target.
    """

    card: Card
    split: Split
    count: int | None = None

    def __len__(self) -> int:
        return len(self.split) if self.card.source is not None or self.count is None else self.count

    @property
    def keys(self) -> list[str]:
        """The name of each picture: its sample's or, where there are more than samples, its seed's."""
        if len(self) == len(self.split):
            return self.split.keys
        return [f"seed_{i:06d}" for i in range(len(self))]

    def made(self, generator: Generator, places: Sequence[int]) -> np.ndarray:
        """The pictures at some places, as `Generator.make` gives them."""
        task = self.card.task
        if task.source is not None:
            name = task.source
            sources = np.stack([self.split.picture(i, name) for i in places])
            return generator.make(sources=sources, conditions=self.conditions(places))
        return generator.make(seeds=list(places), conditions=self.conditions(places))

    def conditions(self, places: Sequence[int]) -> np.ndarray | None:
        """The conditions at some places, (N,); None where none is asked for."""
        condition = self.card.task.condition
        if condition is None:
            return None
        return np.stack([self.split.picture(i % len(self.split), condition) for i in places])

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
