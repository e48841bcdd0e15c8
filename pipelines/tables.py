"""tables: the papers' tables from their cells (a stage of tables/dvc.yaml)."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from components.evaluation.sides import open_sides
from components.params import load_tables
from components.samples.task import Task
from components.stage import exit_with_one_line
from components.storage.files import atomic_path, read_json, write_json, write_text
from components.storage.home import LOCAL
from components.storage.outputs import replaced
from components.tables.cell import read_strip, strip
from components.tables.config import TableConfig, TablesParams
from components.tables.references import reference_rows
from components.tables.table import build_table, task_of
from components.tables.write import as_json, markdown, sheet
from components.tasks.encoding import to_one_size

PARAMS = Path("tables/params.yaml")
SHARDS, JUDGE = Path("data/shards"), Path("data/judge")
CELLS = Path("tables/data/cells")
OUT = Path("tables/data/tables")


def main(params: TablesParams) -> None:
    """Write and print tables/data/tables/NAME.md, and NAME.json and NAME.png beside it."""
    cells = {run: [read_json(CELLS / f"{run}-{seed}.json") for seed in params.cells.seed] for run in params.cells.run}
    references: dict[str, Any] = {}
    for name, config in params.tables.items():
        if not any(row.run in cells for row in config.rows.values()):
            print(f"tables: {name} is left out: none of its runs is in cells.run", file=sys.stderr)
            continue
        if config.direction not in references:
            places = SHARDS, JUDGE, LOCAL / "cache/features"
            task = task_of(config, cells)
            references[config.direction] = reference_rows(params, config.direction, task, *places)
        table = build_table(name, config, cells, references[config.direction])
        text = markdown(table)
        print(text)
        write_text(OUT / f"{name}.md", text)
        write_json(OUT / f"{name}.json", as_json(table))
        with atomic_path(OUT / f"{name}.png") as temporary:
            sheet(_strips(params, config, task_of(config, cells))).save(temporary, format="PNG")


def _strips(params: TablesParams, config: TableConfig, task: Task) -> dict[str, np.ndarray]:
    """Sources, what each run's first seed made of them, and the truth; of points, what every seed made."""
    _, test, _ = open_sides(SHARDS, task)
    strips = {task.source: strip(test, task.source, params.pictures)} if task.source is not None else {}
    points = test.domains[task.target].kind == "point"
    seeds = params.cells.seed if points else params.cells.seed[:1]
    for label, row in config.rows.items():
        if row.run in params.cells.run:
            kept = [read_strip(CELLS, f"{row.run}-{seed}", config.direction) for seed in seeds]
            strips[label] = np.concatenate(kept, axis=1)
    strips |= {task.target: strip(test, task.target, params.pictures)}
    return dict(zip(strips, strips.values() if points else to_one_size(list(strips.values())), strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m pipelines.tables", description=main.__doc__)
    parser.add_argument("--params", type=Path, default=PARAMS, help=f"default: {PARAMS}")
    with exit_with_one_line("tables"):
        params = load_tables(parser.parse_args().params)
        with replaced("tables", [OUT]):
            main(params)
