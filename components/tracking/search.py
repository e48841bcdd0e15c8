"""A search in MLflow: one run for it, and one below it for each trial."""

from typing import Any

from components.storage.files import sha256_json
from components.tracking.record import Point
from components.tracking.run import add_points, find_run, make_run
from components.tracking.store import Store, faults_of_the_store

_ENDS = (("", "value"), (".low", "low"), (".high", "high"))


def log_search(store: Store, summary: dict[str, Any], trials: list[dict[str, Any]]) -> str:
    """Log a search and its trials as nested runs; what is already there is not logged again.

    Args:
        summary: the content of search.json, with a winner.
        trials: the rows of trials.parquet.

    Returns:
        The id of the search's run.

    Raises:
        Fault: MLflow refuses or is gone.
    """
    content = sha256_json([summary, [{k: v for k, v in row.items() if k != "seconds"} for row in trials]])
    key = f"search-{content[:16]}"
    with faults_of_the_store(store.uri):
        parent = find_run(store, key) or make_run(store, key, f"tune {content[:6]}, {summary['figure']}")
        run_id: str = parent.info.run_id
        if parent.info.status == "FINISHED":
            return run_id
        for row in trials:
            _log_trial(store, f"{key}-{row['number']}-{row['repeat']}", run_id, row, summary["figure"])
        winner = summary["winner"]
        params = {f"winner.{path}": str(value) for path, value in winner["values"].items()}
        _log_params(store, run_id, params | {"trials": str(summary["trials"]), "steps": str(summary["steps"])})
        add_points(store, parent, [Point(f"{summary['figure']}{end}", 0, winner[name]) for end, name in _ENDS])
        store.client.set_terminated(run_id, "FINISHED")
    return run_id


def _log_trial(store: Store, key: str, parent: str, row: dict[str, Any], figure: str) -> None:
    known = find_run(store, key)
    if known is not None and known.info.status != "RUNNING":
        return
    name = f"trial {row['number']}" + (f", seed +{row['repeat']}" if row["repeat"] else "")
    run = known or make_run(store, key, name, parent)  # one that was cut short has some of its points
    run_id = run.info.run_id
    rungs = zip(row["rung_steps"], row["rung_objective"], strict=True)
    points = [Point(figure, step, value) for step, value in rungs]
    add_points(store, run, [*points, Point("seconds", 0, row["seconds"])])
    # Of the columns, those with a dot are the paths of params.
    _log_params(store, run_id, {name: str(value) for name, value in row.items() if "." in name})
    for tag in ("state", "reason", "key"):
        store.client.set_tag(run_id, f"pix2pipe.{tag}", row[tag])
    store.client.set_terminated(run_id, "FAILED" if row["state"] == "failed" else "FINISHED")


def _log_params(store: Store, run_id: str, params: dict[str, str]) -> None:
    from mlflow.entities import Param

    store.client.log_batch(run_id, params=[Param(name, value) for name, value in params.items()])
