"""cell: one run of the papers' tables with one seed, trained and measured (a stage of tables/dvc.yaml)."""

import argparse
import sys
from pathlib import Path

from PIL import Image

from components.cluster.workers import Workers
from components.params import load_tables, run_params
from components.stage import TIMINGS, Clock, exit_with_one_line
from components.storage.files import atomic_path, write_json
from components.storage.home import LOCAL, shared
from components.storage.outputs import replaced
from components.systems.judge import load_judge
from components.tables.cell import Cell, plan_cell
from components.training.loop import fit
from components.training.progress import Progress

PARAMS = Path("tables/params.yaml")
SHARDS, JUDGE = Path("data/shards"), Path("data/judge")
OUT = Path("tables/data/cells")


def main(params: Path, name: str, seed: int, clock: Clock) -> None:
    """Write tables/data/cells/RUN-SEED.json and a strip of its test pictures, RUN-SEED.png."""
    tables = load_tables(params)
    run = plan_cell(run_params(tables, name, str(params)), seed, SHARDS, shared() / "runs")
    cell = Cell(SHARDS, load_judge(JUDGE), LOCAL / "cache/features")
    cell.require_judge(run)
    with Progress(run, f"{name}-{seed}"), clock.part("train"):
        clock.add("ray", Workers.of(run).run(fit, run))
    with clock.part("measure"):
        figures, pictures = cell.measure(run, tables)
    with atomic_path(OUT / f"{name}-{seed}.png") as temporary:
        Image.fromarray(pictures).save(temporary, format="PNG")
    write_json(OUT / f"{name}-{seed}.json", {"run": name, "seed": seed, **figures})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m pipelines.cell", description=main.__doc__)
    parser.add_argument("run", help="a name of `runs`")
    parser.add_argument("seed", type=int)
    parser.add_argument("--params", type=Path, default=PARAMS, help=f"default: {PARAMS}")
    arguments = parser.parse_args()
    with exit_with_one_line("cell"):
        name = f"{arguments.run}-{arguments.seed}"
        timed = Clock(name)
        with replaced(f"cell-{name}", [OUT / f"{name}.json", OUT / f"{name}.png"]):
            main(arguments.params, arguments.run, arguments.seed, timed)
        timed.save(TIMINGS / "cells")
    print(f"cell: {arguments.run} with seed {arguments.seed} is measured", file=sys.stderr)
