"""Sampled: pictures that a generator makes from noise, by seed or on the way from one seed to the next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from components.faults import Fault
from components.models.card import condition_of, require_truncations
from components.models.generator import Generator
from components.samples.condition import ask_all, listed_classes
from components.samples.domain import NO_ATTRIBUTE, Picture
from components.tasks.encoding import render


@dataclass(frozen=True)
class Sampled:
    """Pictures from noise, all of one condition where the generator takes one; as people see them, uint8 (H, W, 3).

    Attributes:
        condition: what is asked for, as samples hold it; None where nothing is.
        truncation: of a system that keeps an average of W, how far pictures go from the average one, from -1 to 1.
    """

    generator: Generator
    condition: Picture | None = None
    truncation: float | None = None

    @classmethod
    def of(cls, generator: Generator, name: str, condition: str | None, truncation: float | None = None) -> "Sampled":
        """Those of a version.

        Args:
            name: of the version, for messages.
            condition: as text (`parse_condition`).

        Raises:
            Fault: the version translates pictures, takes a condition and none is given, has no such class, or takes
                none at all; or it cannot truncate.
        """
        card = generator.card
        if card.source is not None:
            raise Fault(
                f"{name} translates {card.task.title} and does not make pictures from noise; use pix2pipe translate"
            )
        if truncation is not None:
            require_truncations(card, [truncation], 1)
        if condition is not None:
            return cls(generator, condition_of(card, condition, "--condition"), truncation)
        if card.condition is not None:
            which = "one of" if card.condition.exclusive else f"{NO_ATTRIBUTE} or some of"
            listed = listed_classes(card.condition.classes)
            raise Fault(f"{name} makes {card.task.title}: give --condition, {which} {listed}")
        return cls(generator, truncation=truncation)

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
                conditions=None if self.condition is None else ask_all(self.condition, count),
                towards=towards[part] if between else None,
                shares=shares[part] if between else None,
                truncations=None if self.truncation is None else [self.truncation] * count,
            )
            yield from render(self.generator.target, made)
