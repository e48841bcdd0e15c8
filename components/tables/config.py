"""tables/params.yaml: which runs there are, and which tables are made of them."""

import re
from typing import Annotated, Any, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from components.evaluation.config import EvaluateConfig
from components.models.card import GenerateConfig
from components.samples.schema import Section
from components.systems import SystemConfig
from components.training.config import TrainConfig

Name = Annotated[str, Field(pattern="^[a-z0-9_]+$")]
BEST = "best_"  # what figures of a run's best checkpoint begin with
_ORDERING = re.compile(r"^(?P<better>.+) > (?P<worse>.+) by (?P<figure>\w+)$")


class Cells(Section):
    """What is trained: each of the named runs with each seed. A table's row stays empty if its run is not among
    them."""

    run: tuple[Name, ...] = Field(min_length=1)
    seed: tuple[NonNegativeInt, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> Self:
        for values in (self.run, self.seed):
            if len(set(values)) < len(values):
                raise ValueError(f"the same twice in {', '.join(map(str, values))}")
        return self


class RowConfig(Section):
    """A row: a named run, or one of the reference rows of evaluate, and the figures that the paper printed.

    Attributes:
        paper: one for each of the table's `published`, null where there is none; empty: the paper has no such row.
    """

    run: Name | None = None
    reference: str | None = None
    paper: tuple[float | None, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.run is None) == (self.reference is None):
            raise ValueError("a row is either a run or a reference")
        return self


class Ordering(Section):
    """That one row's figure is better than another's: `L1+cGAN > L1 by fcn_class_iou`."""

    better: str
    worse: str
    figure: str

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _ORDERING.match(value)
        if not found:
            raise ValueError("write an ordering as ROW > ROW by METRIC")
        return found.groupdict()


class TableConfig(Section):
    """One table.

    Attributes:
        title: and where the paper has it.
        direction: what is translated into what, as in data/metrics: `labels_to_photo`.
        figures: columns, by their names in data/metrics; FID and KID are always beside an FCN-score or one of labels.
        published: what the paper's own columns are called.
        orderings: those that the paper calls clear.
    """

    title: str
    direction: Name
    figures: tuple[str, ...]
    published: tuple[str, ...] = ()
    rows: dict[str, RowConfig]
    orderings: tuple[Ordering, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        read = any(figure.startswith(("fcn_", "labels_")) for figure in self.figures)
        for needed in ("fid", "kid") if read else ():
            if not any(figure.startswith(needed) for figure in self.figures):
                raise ValueError(f"figures: no {needed}_*; an FCN-score can be fooled, so it never stands alone")
        for label, row in self.rows.items():
            if row.paper and len(row.paper) != len(self.published):
                found, wanted = len(row.paper), len(self.published)
                raise ValueError(f"rows.{label}: paper has {found} numbers, and published has {wanted} metrics")
        for ordering in self.orderings:
            for label in (ordering.better, ordering.worse):
                if label not in self.rows:
                    raise ValueError(f"orderings: no row {label}; there are {', '.join(self.rows)}")
            if ordering.figure not in self.figures:
                raise ValueError(f"orderings: {ordering.figure} is not one of the table's figures")
        return self


class TablesParams(Section):
    """All of tables/params.yaml.

    Attributes:
        system, train, generate, evaluate: what all runs have in common, as in params.yaml.
        runs: by name, the params that a run has of its own, at dotted paths: `system.lambda_l1: 0`.
        best: whether each run's best checkpoint is measured too, beside the one that `generate.checkpoint` names; its
            figures are called `best_NAME`, and cost as much time again.
        pictures: test pictures of each cell that are kept for the sheets.
    """

    cells: Cells
    system: SystemConfig
    train: TrainConfig
    generate: GenerateConfig
    evaluate: EvaluateConfig
    best: bool = False
    pictures: PositiveInt
    runs: dict[Name, dict[str, Any]]
    tables: dict[Name, TableConfig]

    @model_validator(mode="after")
    def _best_is_measured(self) -> Self:
        for name, table in self.tables.items():
            asked = next((figure for figure in table.figures if figure.startswith(BEST)), None)
            if asked and not self.best:
                raise ValueError(f"tables.{name}.figures: {asked} is of the best checkpoint; set best: true")
        return self

    @model_validator(mode="after")
    def _known_runs(self) -> Self:
        wanted = {("cells.run", name) for name in self.cells.run}
        wanted |= {
            (f"tables.{title}.rows.{label}", row.run)
            for title, table in self.tables.items()
            for label, row in table.rows.items()
            if row.run is not None
        }
        for where, name in sorted(wanted):
            if name not in self.runs:
                raise ValueError(f"{where}: no run {name}; there are {', '.join(self.runs)}")
        return self


class RunParams(Section):
    """What one run trains."""

    system: SystemConfig
    train: TrainConfig
