"""Test samples for the demo: sources that a model has never seen, and the truth where there is one."""

from dataclasses import dataclass

import numpy as np

from components.evaluation.sides import open_sides
from components.faults import Fault
from components.models.asked import unlike
from components.models.card import Card
from components.samples.domain import Picture
from components.samples.task import Task
from components.shards.manifest import MANIFEST, Manifest
from components.shards.reader import Split
from components.storage.home import AnyPath

_LOOKED_AT = 8  # samples that say whether a source is drawn


@dataclass(frozen=True)
class Samples:
    """The test samples of one translation.

    Attributes:
        sources: those that show its source.
        task: what is translated into what.
        paired: whether each shows the target too.
    """

    sources: Split
    task: Task
    paired: bool

    def __len__(self) -> int:
        return len(self.sources)

    def read(self, number: int) -> "Sample":
        """One of them."""
        key, pictures = self.sources.read(number)
        truth = pictures[self.task.target] if self.paired else None
        return Sample(key, pictures[self.source], truth, pictures.get(self.task.condition or ""))

    @property
    def source(self) -> str:
        """The domain that is translated."""
        assert self.task.source is not None
        return self.task.source

    @property
    def drawn(self) -> bool:
        """Whether the sources are drawings: images of black and white alone, as edges are."""
        if self.sources.domains[self.source].kind == "label":
            return False
        first = range(min(_LOOKED_AT, len(self)))
        return all(np.isin(self.sources.picture(i, self.source), (0, 255)).all() for i in first)


@dataclass(frozen=True)
class Sample:
    """A test sample: its key and source, the truth where there are pairs, and the condition that it shows, if any."""

    key: str
    source: Picture
    truth: Picture | None
    condition: Picture | None


def find_samples(root: AnyPath, card: Card) -> Samples | str:
    """The test samples that a translator of this card takes, or why there are none.

    Args:
        root: of the shards.
    """
    if not (root / MANIFEST).is_file():
        return f"there are no shards in {root}"
    try:
        manifest = Manifest.read(root)
        if problem := unlike(card, manifest):
            return f"{root} has {problem}"
        sides = open_sides(root, card.task)
        if not len(sides.asked):
            return f"{root} has no test samples"
        return Samples(sides.asked, card.task, paired=manifest.aligned and not card.task.within)
    except Fault as fault:
        return str(fault)
