"""train: a GAN over the shards, data parallel, resumed where it stood."""

import sys
from pathlib import Path

from components.cluster.workers import Workers
from components.params import Params
from components.stage import Clock, run_stage
from components.systems import build
from components.training.export import export_run
from components.training.loop import fit
from components.training.progress import Progress
from components.training.run import plan

SHARDS = Path("data/shards")
OUT = Path("data/runs")
RUNS = Path(".pix2pipe/runs")


def main(params: Params, clock: Clock) -> None:
    """Train `system` as `train` says."""
    run = plan(params.system, params.train, SHARDS, RUNS)
    for note in build(run.system, run.shape()).notes:
        print(f"train: note: {note}", file=sys.stderr)
    train = params.train
    workers = Workers(train.num_workers, train.device, run.folder, train.timeout_s, train.max_failures)
    with Progress(run, f"train {run.system.name}"):
        clock.add("ray", workers.run(fit, run))
    clock.merge(run.folder / "throughput.json")
    with clock.part("export"):
        export_run(run, OUT)


if __name__ == "__main__":
    run_stage("train", main)
