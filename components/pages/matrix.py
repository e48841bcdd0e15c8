"""Figures of ordered pairs of classes, as a table of source by condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.pages.curves import number
from components.pages.figures import title

_MOST = 24  # classes whose table is still read


@dataclass(frozen=True)
class Matrix:
    """One figure of the model's pictures, by the class of their source (rows) and the one asked for (columns).

    Attributes:
        cells: as text, empty on the diagonal.
    """

    title: str
    classes: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def matrices(model: dict[str, Any], classes: Sequence[str]) -> list[Matrix]:
    """A table for each figure of the row `model` that is measured by pair; none where there are too many classes."""
    if len(classes) > _MOST:
        return []
    return [
        Matrix(
            " ".join(title(name.removesuffix("_per_way"))).strip(),
            tuple(classes),
            tuple(
                tuple(number(each[way]["value"]) if (way := f"{a} to {b}") in each else "" for b in classes)
                for a in classes
            ),
        )
        for name, each in model.items()
        if name.endswith("_per_way")
    ]
