"""judge: trains the network that reads labels, a category, or attributes back from a picture."""

import sys
from pathlib import Path

from components.cluster.workers import Workers
from components.evaluation.ceiling import ceiling
from components.params import Params
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.stage import Clock, run_stage
from components.start import settled_start
from components.storage.files import write_json
from components.storage.home import shared
from components.systems.judge import CARD, export_judge, judge_task, write_card
from components.training.loop import fit
from components.training.progress import Progress
from components.training.run import plan

SHARDS = Path("data/shards")
OUT = Path("data/judge")


def main(params: Params, clock: Clock) -> None:
    """Train the judge on real photos and what they show, and score it on real val and test photos."""
    manifest = Manifest.read(SHARDS)
    system = params.judge.system
    task = judge_task(manifest.task, manifest.domains, system) if system is not None and manifest.aligned else None
    if system is None or task is None:
        reason = "judge.system is null" if system is None else _unreadable(manifest, system.name)
        print(f"judge: skipped: {reason}", file=sys.stderr)
        write_json(OUT / CARD, {"skipped": reason})
        return
    train = settled_start(params.judge.train, params.register_.experiment)
    run = plan(system, train, SHARDS, shared() / "runs", task)
    with Progress(run, "judge"):
        clock.add("ray", Workers.of(run, "judge").run(fit, run))
    clock.merge(run.folder / "throughput.json")
    last, shape = run.checkpoints.last(), run.shape()
    assert last is not None
    card = {"system": run.system, "source": shape.source, "target": shape.target, "task": task}
    judge = export_judge(OUT, last.weights(), **card, manifest=manifest.sha256, key=run.key)
    with clock.part("score"):
        scores = {name: ceiling(judge, Split(SHARDS, name)) for name in ("val", "test")}
    write_card(OUT, judge.card.model_copy(update={"ceiling": scores}))
    test = ", ".join(f"{name} {value:.3f}" for name, value in scores["test"].items())
    print(f"judge: on real test photos: {test}", file=sys.stderr)


def _unreadable(manifest: Manifest, system: str) -> str:
    if not manifest.aligned:
        return "a sample of two unaligned sides shows one picture, with no labels beside it"
    read = "category and no attributes" if system == "classifier" else "label map"
    return f"no sample shows a {read} beside an image of the task"


if __name__ == "__main__":
    run_stage("judge", main)
