"""Figures of the ways from one condition to another: a table of source by class, or of attribute by its new value."""

from dataclasses import dataclass
from typing import Any

from components.pages.curves import number
from components.pages.figures import title
from components.samples.domain import Domain

_MOST = 24  # classes whose table is still read


@dataclass(frozen=True)
class Matrix:
    """One figure of the model's pictures, by the class of their source (rows) and the one asked for (columns); or by
    the attribute that is changed and the value that it is given.

    Attributes:
        corner: what rows and columns are. cells: as text, empty where there is no such way.
    """

    title: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def matrices(model: dict[str, Any], condition: Domain) -> list[Matrix]:
    """A table for each figure of the row `model` that is measured by way; none where there are too many classes."""
    rows = condition.classes
    columns, corner, way = (rows, "from, to", "{} to {}") if condition.exclusive else (("1", "0"), "becomes", "{}={}")
    if len(rows) > _MOST:
        return []
    return [
        Matrix(
            " ".join(title(name.removesuffix("_per_way"))).strip(),
            corner,
            rows,
            columns,
            tuple(
                tuple(number(each[key]["value"]) if (key := way.format(a, b)) in each else "" for b in columns)
                for a in rows
            ),
        )
        for name, each in model.items()
        if name.endswith("_per_way")
    ]
