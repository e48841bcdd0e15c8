"""evaluate: the generated test pictures against the true ones, and the rows that give the figures a meaning."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.evaluation.evaluate import evaluate
from components.files import atomic_path, read_json, write_json
from components.params import Params
from components.shards.reader import Split
from components.stage import Clock, run_stage
from components.systems.judge import load_judge

SHARDS = Path("data/shards")
GENERATED = Path("data/generated")
JUDGE = Path("data/judge")
OUT = Path("data/metrics")
CACHE = Path(".pix2pipe/cache/features")


def main(params: Params, clock: Clock) -> None:
    """Write data/metrics/SYSTEM.json and data/metrics/per_sample.parquet."""
    card = read_json(GENERATED / "translator.json")
    source, target = card["task"]
    train, test = Split(SHARDS, "train"), Split(SHARDS, "test")
    generated = Split(GENERATED, "test")
    with clock.part("measure"):
        done = evaluate(params.evaluate, train, test, generated, (source, target), load_judge(JUDGE), cache=CACHE)
    lineage = {**card, "manifest": test.manifest.sha256, "shards": test.manifest.source}
    with atomic_path(OUT / "per_sample.parquet") as temporary:
        pq.write_table(pa.table(done.per_sample), temporary)
    write_json(OUT / f"{params.system.name}.json", {**done.metrics, "lineage": lineage})
    for name, ratio in done.metrics["summary"].items():
        print(f"evaluate: {name.replace('_', ' ')} {ratio:.3f} (0 real, 1 the flat painter)", file=sys.stderr)


if __name__ == "__main__":
    run_stage("evaluate", main)
