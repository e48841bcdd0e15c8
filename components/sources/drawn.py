"""Samples that no file holds: each is a function of a seed, its split and its number there."""

from dataclasses import dataclass

import numpy as np

from components.samples.source import SPLITS


@dataclass(frozen=True, slots=True)
class Drawn:
    """One such sample. `split` is the place of its split in SPLITS."""

    key: str
    split: int
    index: int

    def random(self, seed: int) -> np.random.Generator:
        """What decides everything about it."""
        return np.random.default_rng([seed, self.split, self.index])


def drawn_splits(train: int, val: int, test: int) -> dict[str, list[Drawn]]:
    """So many samples of each split."""
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    return {
        split: [Drawn(f"{split}_{index:06d}", number, index) for index in range(counts[split])]
        for number, split in enumerate(SPLITS)
    }
