"""register: the graph in MLflow, each of its translators a candidate of the model registry, with a verdict."""

import sys
from dataclasses import replace
from pathlib import Path

from components.params import Params
from components.review.pictured import look
from components.review.text import headline
from components.search.outcome import read_search, read_trials
from components.stage import Clock, run_stage
from components.storage.files import read_json, write_json
from components.storage.home import LOCAL, shared
from components.tracking.record import Outputs, gather
from components.tracking.registry import register_all
from components.tracking.run import log_record
from components.tracking.search import log_search
from components.tracking.store import open_store, tracking_uri
from components.training.export import git_commit

RUN, GENERATED, METRICS = Path("data/runs"), Path("data/generated"), Path("data/metrics")
SHARDS, REVIEWED = Path("data/shards"), LOCAL / "review"
TUNED = Path("data/tune")
OUT = Path("data/registered/version.json")


def main(params: Params, clock: Clock) -> None:
    """Log the search and the run of this graph, register its translators and review them."""
    config = params.register_
    timed = shared() / "runs" / read_json(RUN / "run.json")["key"] / "throughput.json"
    outputs = Outputs(RUN, GENERATED, METRICS, timed, Path("dvc.lock"))
    with clock.part("read"):
        record = gather(outputs, git_commit())
    with clock.part("mlflow"):
        store = open_store(tracking_uri(LOCAL), LOCAL, config.experiment)
        found = read_search(TUNED)
        if "winner" in found:
            search_id = log_search(store, found, read_trials(TUNED))
            record = replace(record, tags=record.tags | {"pix2pipe.search": search_id})
        run_id = log_record(store, record)
        versions = register_all(store, run_id, outputs, config)
    with clock.part("review"):
        for made in versions.values():
            review = look(store, made["model"], str(made["version"]), params.review, SHARDS, REVIEWED).review
            made |= {"verdict": review.verdict.word, "reasons": review.verdict.reasons}
            print(f"register: {headline(review)}", file=sys.stderr)
    write_json(OUT, {"versions": versions}, in_order=True)
    for made in versions.values():
        print(f"register: {made['model']} version {made['version']} is {made['alias']}", file=sys.stderr)


if __name__ == "__main__":
    run_stage("register", main)
