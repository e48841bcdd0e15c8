"""Sampled: pictures that a generator makes from noise, by seed or on the way from one seed to the next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from components.faults import Fault
from components.models.card import listed_classes, require_truncations
from components.models.generator import Generator
from components.samples.domain import Picture
from components.tasks.encoding import render


@dataclass(frozen=True)
class Sampled:
    """Pictures from noise, all of one class where the generator asks for a class; as people see them, uint8 (H, W, 3).

    Attributes:
        condition: the index of the class, None where none is asked for.
        truncation: of a system that keeps an average of W, how far pictures go from the average one, from -1 to 1.
    """

    generator: Generator
    condition: int | None = None
    truncation: float | None = None

    @classmethod
    def of(cls, generator: Generator, name: str, condition: str | None, truncation: float | None = None) -> "Sampled":
        """Those of a version.

        Args:
            name: of the version, for messages.
            condition: the name of a class.

        Raises:
            Fault: the version translates pictures, asks for a class and none is given, knows no such class, or knows
                no classes at all; or it cannot truncate.
        """
        card = generator.card
        if card.source is not None:
            raise Fault(
                f"{name} translates {card.task.title} and does not make pictures from noise; use pix2pipe translate"
            )
        if truncation is not None:
            require_truncations(card, [truncation], 1)
        if card.condition is None:
            if condition is not None:
                raise Fault(f"--condition {condition}: {name} makes {card.task.title} without one; leave it out")
            return cls(generator, truncation=truncation)
        classes = card.condition.classes
        listed = listed_classes(classes)
        if condition is None:
            raise Fault(f"{name} makes {card.task.title}: give --condition, one of {listed}")
        if condition not in classes:
            raise Fault(f"--condition {condition}: {name} has no such class; there are {listed}")
        return cls(generator, classes.index(condition), truncation)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a picture."""
        target = self.generator.target
        height, width = render(target, np.zeros((1, *target.shape), np.uint8)).shape[1:3]
        return height, width

    def pictures(self, seeds: Sequence[int]) -> Iterator[Picture]:
        """The picture of each seed."""
        yield from self._made(seeds, seeds, [0.0] * len(seeds))

    def way(self, seeds: Sequence[int], count: int) -> Iterator[Picture]:
        """`count` pictures at even steps from the latent of the first seed over all others to that of the last.

        Args:
            seeds: two or more. count: two or more.
        """
        legs = len(seeds) - 1
        places = np.linspace(0, legs, count)
        starts = np.minimum(places.astype(int), legs - 1)
        first, second = [seeds[i] for i in starts], [seeds[i + 1] for i in starts]
        yield from self._made(first, second, (places - starts).tolist())

    def _made(self, seeds: Sequence[int], towards: Sequence[int], shares: Sequence[float]) -> Iterator[Picture]:
        batch = self.generator.card.batch_size
        between = seeds is not towards
        for start in range(0, len(seeds), batch):
            part = slice(start, start + batch)
            count = len(seeds[part])
            made = self.generator.make(
                seeds=seeds[part],
                conditions=None if self.condition is None else np.full(count, self.condition, np.uint8),
                towards=towards[part] if between else None,
                shares=shares[part] if between else None,
                truncations=None if self.truncation is None else [self.truncation] * count,
            )
            yield from render(self.generator.target, made)
