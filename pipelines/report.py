"""report: one self-contained page about the run."""

import sys
from pathlib import Path

from components.pages.report import Inputs, build_report
from components.params import Params
from components.stage import TIMINGS, Clock, run_stage
from components.storage.files import write_text
from components.storage.home import shared

DATA = Path("data")
OUT = DATA / "report/index.html"


def main(params: Params, clock: Clock) -> None:
    """Write data/report/index.html."""
    inputs = Inputs(
        raw=DATA / "raw",
        shards=DATA / "shards",
        run=DATA / "runs",
        generated=DATA / "generated",
        metrics=DATA / "metrics",
        registered=DATA / "registered/version.json",
        tuned=DATA / "tune",
        timings=TIMINGS,
        runs=shared() / "runs",
        study=Path("data/study/result.json"),
    )
    with clock.part("page"):
        write_text(OUT, build_report(inputs, params.report))
    print(f"report: {OUT.resolve().as_uri()}", file=sys.stderr)


if __name__ == "__main__":
    run_stage("report", main)
