"""train: a GAN over the shards, data parallel, resumed where it stood."""

import sys
from pathlib import Path

from components.cluster.workers import Workers
from components.params import Params, with_values
from components.search.outcome import WINNER, read_winner
from components.stage import Clock, run_stage
from components.start import settled_start
from components.storage.home import LOCAL, shared
from components.systems import build
from components.tracking.live import LiveRun
from components.tracking.record import run_name
from components.tracking.store import tracking_uri
from components.training.export import export_run
from components.training.longer import go_on
from components.training.loop import fit
from components.training.optimizers import moment_of
from components.training.progress import Progress
from components.training.quality import notes
from components.training.run import plan

SHARDS = Path("data/shards")
TUNED = Path("data/tune")
OUT = Path("data/runs")


def main(params: Params, clock: Clock) -> None:
    """Train `system` as `train` says, with what tune found in place of their own values."""
    params = with_values(params, read_winner(TUNED), f"{TUNED / WINNER}")
    train = settled_start(params.train, params.register_.experiment)
    run = plan(params.system, train, SHARDS, shared() / "runs")
    shape = run.shape()
    system = build(run.system, shape)
    ends = system.course.ends(moment_of(system, train, run.num_steps(), run.num_steps()))
    for note in (*system.notes, *notes(run, shape), *ends, *go_on(run)):
        print(f"train: note: {note}", file=sys.stderr)
    name = run_name(run.system.name, run.task, run.num_steps(), run.key)
    live = LiveRun(tracking_uri(LOCAL), LOCAL, params.register_.experiment, run.key, name).start()
    with Progress(run, f"train {run.system.name}", live.log):
        clock.add("ray", Workers.of(run).run(fit, run))
    with clock.part("mlflow"):
        live.end()
    clock.merge(run.folder / "throughput.json")
    with clock.part("export"):
        export_run(run, OUT)


if __name__ == "__main__":
    run_stage("train", main)
