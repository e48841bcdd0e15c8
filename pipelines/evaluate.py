"""evaluate: compares the generated test pictures with the true ones, beside rows that give the metrics meaning."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.evaluation.evaluate import evaluate
from components.evaluation.headline import headline
from components.evaluation.sides import open_sides
from components.evaluation.verdict import sentence
from components.models.card import read_cards
from components.params import Params
from components.shards.reader import Split
from components.stage import Clock, run_stage
from components.storage.files import atomic_path, write_json
from components.storage.home import LOCAL
from components.systems.judge import load_judge

SHARDS = Path("data/shards")
GENERATED = Path("data/generated")
JUDGE = Path("data/judge")
OUT = Path("data/metrics")
CACHE = LOCAL / "cache/features"


def main(params: Params, clock: Clock) -> None:
    """Write data/metrics/rows.json, headline.json, and per_sample/ and replicates/SOURCE_to_TARGET.parquet."""
    judge, metrics = load_judge(JUDGE), {}
    for card in read_cards(GENERATED):
        name = card.name
        train, test, sources = open_sides(SHARDS, card.task)
        generated = Split(GENERATED / name, "test")
        with clock.part("measure"):
            done = evaluate(params.evaluate, train, test, generated, card.task, judge, cache=CACHE, sources=sources)
        data = {"manifest": test.manifest.sha256, "shards": test.manifest.source}
        metrics[name] = {**done.metrics, "lineage": card.model_dump(mode="json") | data}
        resampled = pa.table({column: pa.array(values, pa.float32()) for column, values in done.replicates.items()})
        for folder, table in (("per_sample", pa.table(done.per_sample)), ("replicates", resampled)):
            with atomic_path(OUT / f"{folder}/{name}.parquet") as temporary:
                pq.write_table(table, temporary)
        if verdict := sentence(done.metrics["summary"]):
            print(f"evaluate: {name}: {verdict}", file=sys.stderr)
        for what, why in done.metrics.get("skipped", {}).items():
            print(f"evaluate: {name}: not measured: {what}. {why}", file=sys.stderr)
    write_json(OUT / "rows.json", metrics, in_order=True)
    write_json(OUT / "headline.json", headline(metrics), in_order=True)


if __name__ == "__main__":
    run_stage("evaluate", main)
