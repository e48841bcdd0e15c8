"""Protocol: how a metric was measured, independent of the model that was measured."""

from typing import Any

from components.faults import Fault
from components.samples.schema import Section
from components.storage.files import sha256_json

# Raise this number when a change of the code gives other values for the same pictures and params.
ARITHMETIC = 1


class NetworkProtocol(Section):
    """A feature network: the bytes of its weights, and what happens to a picture before it."""

    sha256: str
    resize: str
    normalisation: str
    dimensions: int


class SampleProtocol(Section):
    """A list of samples: how many, their keys in order, and the true pictures that keys stand for."""

    count: int
    keys: str
    pictures: str


class Protocol(Section):
    """Everything that must be equal for two metrics to be comparable.

    Attributes:
        arithmetic: version of the evaluation code's numbers.
        metrics: names of the figures of the model row.
        networks: by the suffix of the figures' names ("" for the published `fid`).
        judge: sha256 of the judge's weights, None where no labels are read from pictures.
        source, target, condition: what is made of what, None where there is none. size: pixels, height and width.
        classes: of the labels that are scored, in order.
        test, train: the samples measured against, and those that floor and painter are made of.
        sources: the samples that are translated, where they are others than `test`.
        confidence: percent of the intervals. border: pixels that figures of the luma leave off at each edge.
    """

    arithmetic: int = ARITHMETIC
    metrics: tuple[str, ...]
    networks: dict[str, NetworkProtocol]
    judge: str | None
    source: str | None
    target: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    test: SampleProtocol
    train: SampleProtocol
    seed: int
    num_bootstrap: int
    is_splits: int
    confidence: float
    sources: SampleProtocol | None = None
    condition: str | None = None
    border: int | None = None

    @property
    def hash(self) -> str:
        """sha256 of all of the above."""
        return sha256_json(self._fields())

    def as_json(self) -> dict[str, Any]:
        """The fields and "hash"."""
        return {**self._fields(), "hash": self.hash}

    def _fields(self) -> dict[str, Any]:
        """All of them; `sources`, `condition` and `border` only where there are such, so that others keep the hash they
        had."""
        absent = {name for name in ("sources", "condition", "border") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude=absent)


def require_comparable(first: dict[str, Any], second: dict[str, Any], names: tuple[str, str]) -> None:
    """Refuse to compare metrics of two protocols.

    Args:
        first: one direction of a data/metrics/rows.json; second: of another; names: what to call them.

    Raises:
        Fault: their protocol hashes differ; it names the parts that do.
    """
    a, b = first["protocol"], second["protocol"]
    if a["hash"] == b["hash"]:
        return
    parts = sorted(key for key in {*a, *b} - {"hash"} if a.get(key) != b.get(key))
    raise Fault(
        f"{names[0]} and {names[1]} were measured differently ({', '.join(parts)}): "
        f"their metrics cannot be compared; evaluate both with the same params, data and judge"
    )
