"""Which splits a task is measured on, whether the data holds pairs, two sides or pictures of one kind."""

from typing import NamedTuple

from components.samples.task import Task
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.storage.home import AnyPath


class Sides(NamedTuple):
    """Samples of a set, as one task needs them.

    Attributes:
        train, test: those that show its target, with all else that lies beside it in a sample.
        sources: the test samples that it translates, where they are others than `test`; None in an aligned set, and
            where nothing is translated.
    """

    train: Split
    test: Split
    sources: Split | None

    @property
    def asked(self) -> Split:
        """The samples that the model is asked about."""
        return self.test if self.sources is None else self.sources


def open_sides(root: AnyPath, task: Task, split: str = "test") -> Sides:
    """The samples that a task is measured on.

    Args:
        root: of the shards. task: as the model takes it.
        split: what `test` and `sources` are of.
    """
    manifest = Manifest.read(root)
    train, test = (manifest.side(part, task.target) for part in ("train", split))
    sources = test if task.source is None else manifest.side(split, task.source)
    return Sides(Split(root, train), Split(root, test), None if sources == test else Split(root, sources))
