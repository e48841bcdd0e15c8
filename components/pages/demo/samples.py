"""Test samples for the demo: sources that a model has never seen, and the truth where there is one."""

from dataclasses import dataclass

import numpy as np

from components.domain import Domain, Picture
from components.evaluation.sides import open_sides
from components.faults import Fault
from components.home import AnyPath
from components.shards.manifest import MANIFEST, Manifest
from components.shards.reader import Split
from components.systems.translator import Card

_LOOKED_AT = 8  # samples that say whether a source is drawn


@dataclass(frozen=True)
class Samples:
    """The test samples of one translation.

    Attributes:
        sources: those that show its source.
        task: (source, target).
        paired: whether each shows the target too.
    """

    sources: Split
    task: tuple[str, str]
    paired: bool

    def __len__(self) -> int:
        return len(self.sources)

    def read(self, number: int) -> tuple[str, Picture, Picture | None]:
        """The key, the source and the truth (None without pairs) of a sample."""
        key, pictures = self.sources.read(number)
        return key, pictures[self.task[0]], pictures[self.task[1]] if self.paired else None

    @property
    def drawn(self) -> bool:
        """Whether the sources are drawings: images of black and white alone, as edges are."""
        if self.sources.domains[self.task[0]].kind == "label":
            return False
        first = range(min(_LOOKED_AT, len(self)))
        return all(np.isin(self.sources.picture(i, self.task[0]), (0, 255)).all() for i in first)


def find_samples(root: AnyPath, card: Card) -> Samples | str:
    """The test samples that a translator of this card takes, or why there are none.

    Args:
        root: of the shards.
    """
    if not (root / MANIFEST).is_file():
        return f"there are no shards in {root}"
    try:
        manifest = Manifest.read(root)
        if manifest.size != card.size:
            return f"the pictures of {root} have another size"
        for name, domain in zip(card.task, (card.source, card.target), strict=True):
            if name not in manifest.domains or not alike(manifest.domains[name], domain):
                return f"{root} holds no {name} as this model knows them"
        sides = open_sides(root, card.task)
        sources = sides.sources or sides.test
        return Samples(sources, card.task, manifest.aligned) if len(sources) else f"{root} has no test samples"
    except Fault as fault:
        return str(fault)


def alike(first: Domain, second: Domain) -> bool:
    """Whether two domains hold the same pictures; how networks see them may differ."""
    return first.model_copy(update={"encoding": second.encoding}) == second
