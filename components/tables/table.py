"""A table of cells: each figure's mean and interval over seeds, beside the paper's own row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from components.evaluation.protocol import require_comparable
from components.faults import Fault
from components.samples.task import Task
from components.tables.compare import Difference, Estimate, difference, estimate, holm, verdict
from components.tables.config import RowConfig, TableConfig

Cells = Mapping[str, Sequence[Mapping[str, Any]]]
"""The cells of each run that was run, a seed each."""


@dataclass(frozen=True)
class TableRow:
    """A row as it came out: by figure, its estimate; none of a run that was not run.

    Attributes:
        paper: the paper's figures, beside `published` of the table.
        note: why there is nothing here.
    """

    label: str
    figures: Mapping[str, Estimate]
    paper: tuple[float | None, ...]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """What came of an ordering that the paper calls clear.

    Attributes:
        reason: why there is no difference to look at.
        difference: of the row that should be better less the other. p: of it, corrected for the table's orderings.
    """

    text: str
    figure: str
    verdict: str
    reason: str = ""
    difference: Difference | None = None
    p: float | None = None


@dataclass(frozen=True)
class Table:
    """A finished table."""

    name: str
    config: TableConfig
    seeds: int
    protocol: str
    rows: tuple[TableRow, ...]
    lines: tuple[Line, ...]


def build_table(name: str, config: TableConfig, cells: Cells, reference: Mapping[str, Any]) -> Table:
    """Put a table together.

    Args:
        cells: of each run, the content of its cells' files.
        reference: metrics of the direction as evaluate gives them, for rows such as `real`.

    Raises:
        Fault: a run does not translate the table's direction, lacks a figure, or was measured under another
            protocol than the rest; or the direction has no such row.
    """
    rows = tuple(_row(name, config, label, row, cells, reference) for label, row in config.rows.items())
    lines = _lines(config, {row.label: row.figures for row in rows})
    ran = [cells[row.run] for row in config.rows.values() if row.run is not None and row.run in cells]
    seeds = max(map(len, ran), default=0)
    return Table(name, config, seeds, reference["protocol"]["hash"], rows, lines)


def _lines(config: TableConfig, known: Mapping[str, Mapping[str, Estimate]]) -> tuple[Line, ...]:
    """What came of the table's orderings; each counts as one of several that could be told by chance."""
    lines = []
    for ordering in config.orderings:
        text = f"{ordering.better} > {ordering.worse} by {ordering.figure}"
        better, worse = (known[label].get(ordering.figure) for label in (ordering.better, ordering.worse))
        reason = "" if better and worse else "a row was not run"
        apart = difference(better, worse) if better and worse else None
        if not reason and apart is None:
            reason = "one seed has no interval"
        lines.append(Line(text, ordering.figure, "cannot be told", reason, apart))
    told = {index: line.difference for index, line in enumerate(lines) if line.difference is not None}
    for (index, apart), p in zip(told.items(), holm([each.p for each in told.values()]), strict=True):
        figure = lines[index].figure
        lines[index] = replace(lines[index], verdict=verdict(figure, apart.mean, p), p=p)
    return tuple(lines)


def task_of(config: TableConfig, cells: Cells) -> Task:
    """The task of a table, as its cells name it.

    Raises:
        Fault: none of them has it.
    """
    for run in cells.values():
        for cell in run:
            if config.direction in cell["directions"]:
                return Task.model_validate(cell["directions"][config.direction]["task"])
    raise Fault(f"tables/params.yaml: tables: no run makes {config.direction}; name a task that one does")


def _row(
    name: str, config: TableConfig, label: str, row: RowConfig, cells: Cells, reference: Mapping[str, Any]
) -> TableRow:
    if row.reference is not None:
        if row.reference not in reference["rows"]:
            there = ", ".join(name for name in reference["rows"] if name != "model")
            raise Fault(f"table {name}: rows.{label}: {config.direction} has no row {row.reference}; it has {there}")
        found = reference["rows"][row.reference]
        # Figures of real pictures do not depend on a seed, so they have no interval over seeds.
        figures = {f: Estimate(found[f]["value"], None, 1) for f in config.figures if f in found}
        return TableRow(label, figures, row.paper)
    assert row.run is not None
    if row.run not in cells:
        return TableRow(label, {}, row.paper, "not run")
    values: dict[str, dict[int, float]] = {figure: {} for figure in config.figures}
    for cell in cells[row.run]:
        where = f"table {name}: run {row.run} with seed {cell['seed']}"
        if config.direction not in cell["directions"]:
            raise Fault(f"{where} does not translate {config.direction}, but {', '.join(cell['directions'])}")
        measured = cell["directions"][config.direction]
        require_comparable(dict(reference), measured, ("the reference rows", where))
        for figure in config.figures:
            if figure not in measured["figures"]:
                reasons = "".join(f"; {why}" for part, why in measured.get("skipped", {}).items() if part in figure)
                raise Fault(f"{where} has no metric {figure}{reasons}")
            values[figure][cell["seed"]] = float(measured["figures"][figure]["value"])
    return TableRow(label, {figure: estimate(each) for figure, each in values.items()}, row.paper)
