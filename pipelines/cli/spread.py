"""The command spread: the cells of the papers' tables as parallel tasks of Ray; docs/tables.md."""

import argparse
import sys
import time
from pathlib import Path

from components.cluster.spread import spread
from components.faults import Fault
from components.params import load_tables, run_params
from components.storage.home import shared
from components.tables.cell import plan_cell

SHARDS = Path("data/shards")


def spread_cells(chosen: argparse.Namespace) -> None:
    """The command `spread`; `dvc --cd tables repro` then finds the runs finished, and only measures them."""
    path: Path = chosen.params
    tables, runs = load_tables(path), {}
    for name in chosen.runs or tables.cells.run:
        if name not in tables.runs:
            raise Fault(f"{path}: no run {name}; there are {', '.join(tables.runs)}")
        for seed in tables.cells.seed:
            run = plan_cell(run_params(tables, name, str(path)), seed, SHARDS, shared() / "runs")
            runs[run.key] = (f"{name}-{seed}", run)
    began = time.perf_counter()

    def say(name: str, how: str) -> None:
        print(f"spread: {name}: {how} ({time.perf_counter() - began:.0f} s)", file=sys.stderr)

    spread(dict(runs.values()), chosen.cpus, say)
