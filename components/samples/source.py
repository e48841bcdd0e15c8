"""Source: raw pictures, listed by split and read one sample at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.samples.task import Task

SPLITS = ("train", "val", "test")


class Shown(NamedTuple):
    """What the samples of a source hold, as far as params alone can tell.

    Attributes:
        domains: of images and label maps with the size that they are cut to.
        aligned: whether each sample shows every domain.
    """

    domains: Mapping[str, Domain]
    task: Task
    aligned: bool = True


class BadSample(Fault):
    """One sample cannot be used; the message names its file. Others may still be fine."""


class Unit(Protocol):
    """What a source needs to read one sample; small and picklable."""

    @property
    def key(self) -> str:
        """The sample's name, unique in its source: [A-Za-z0-9_-]+."""


class Source(Protocol):
    """Pictures of one or more domains, in three splits, or in three splits a domain where they are not aligned."""

    @property
    def name(self) -> str:
        """As in `fetch.name`."""

    @property
    def domains(self) -> Mapping[str, Domain]:
        """What each picture of a sample is, with its size."""

    @property
    def task(self) -> Task:
        """What is asked of the samples unless params ask for something else."""

    @property
    def splits(self) -> Mapping[str, Sequence[Any]]:
        """Train, val and test, each a sequence of the source's own units in a fixed order.

        Where samples do not show every domain: train/DOMAIN and so on, of samples that show that domain.
        """

    def read(self, unit: Any, /) -> dict[str, Picture]:
        """One picture for each domain that its split shows: (H, W, 3) RGB or (H, W) class indices.

        Raises:
            BadSample: the sample's files are broken or do not fit together.
        """


def require_samples(name: str, splits: Mapping[str, Sequence[Unit]], advice: str) -> None:
    """Refuse a source one of whose splits is empty.

    Raises:
        Fault: naming the split and saying what to do.
    """
    for split, units in splits.items():
        if not units:
            raise Fault(f"{name}: the {split} split is empty; {advice}")
