"""Which splits a translation is measured on, whether the data holds pairs or two sides."""

from typing import NamedTuple

from components.home import AnyPath
from components.shards.manifest import Manifest
from components.shards.reader import Split


class Sides(NamedTuple):
    """Samples of a set, as one translation needs them.

    Attributes:
        train, test: those that show its target, with all else that lies beside it in a sample.
        sources: the test samples that it translates, where they are others than `test`; None in an aligned set.
    """

    train: Split
    test: Split
    sources: Split | None


def open_sides(root: AnyPath, task: tuple[str, str], split: str = "test") -> Sides:
    """The samples that a translation is measured on.

    Args:
        root: of the shards. task: (source, target) as it translates them.
        split: what `test` and `sources` are of.
    """
    manifest = Manifest.read(root)
    train, test, sources = (
        manifest.side(part, domain) for part, domain in (("train", task[1]), (split, task[1]), (split, task[0]))
    )
    return Sides(Split(root, train), Split(root, test), None if sources == test else Split(root, sources))
