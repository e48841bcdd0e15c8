"""The MLflow run of a graph: one run for each training key, and each point in it once."""

import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from components.tracking.point_times import PointTimes
from components.tracking.record import Point, Record
from components.tracking.store import Store, faults_of_the_store

if TYPE_CHECKING:
    from mlflow.entities import Run

KEY, CONTENT, SUPERSEDED = "pix2pipe.key", "pix2pipe.content", "pix2pipe.superseded"
BATCH = 1000  # metrics in one call, MLflow's own bound; params and tags are at most 100
_FEW = 100
_Item = TypeVar("_Item")


def find_run(store: Store, key: str) -> "Run | None":
    """The run of a training key; if there are two, the one that has metrics."""
    return next(iter(_runs(store, key)), None)


def make_run(store: Store, key: str, name: str, parent: str | None = None) -> "Run":
    """A new run for a key, below another run where `parent` gives that one's id."""
    tags = {KEY: key, SUPERSEDED: "no", "mlflow.source.name": "pix2pipe", "mlflow.source.type": "PROJECT"}
    if parent is not None:
        tags["mlflow.parentRunId"] = parent
    return store.client.create_run(store.experiment_id, run_name=name, tags=tags)


def log_record(store: Store, record: Record) -> str:
    """Add what the graph's run lacks of the record, and end it; returns the run's id.

    What is already there is not logged again: nothing at all if the content is the same, otherwise only the missing
    points (`LiveRun` has logged most of them during the training). A run with points of another training (the same
    params gave other metrics on another machine) is kept and marked as superseded, and a new run is started.

    Raises:
        Fault: MLflow refuses or is gone.
    """
    with faults_of_the_store(store.uri):
        run = find_run(store, record.key)
        if run is not None and run.data.tags.get(CONTENT) == record.content and run.info.status == "FINISHED":
            return run.info.run_id
        for twin in _runs(store, record.key)[1:]:
            store.client.set_tag(twin.info.run_id, SUPERSEDED, "yes")
        present = points_of(store, run, {point.name for point in record.curves}) if run else {}
        if run is not None and not _same_training(present, record.curves):
            store.client.set_tag(run.info.run_id, SUPERSEDED, "yes")
            run, present = None, {}
        if run is None:
            run = make_run(store, record.key, record.name)
        _log(store, run, record, present)
        return run.info.run_id


def log_points(store: Store, run_id: str, points: Iterable[Point], stamps: PointTimes | None = None) -> None:
    """Log metrics in as few calls as MLflow allows.

    Args:
        stamps: the times of points that may have been sent before; without them, the present time is used.
    """
    from mlflow.entities import Metric

    for part in _batched(list(points), BATCH):
        times = stamps.times(part) if stamps else [time.time_ns() // 1_000_000] * len(part)
        metrics = [Metric(point.name, point.value, at, point.step) for point, at in zip(part, times, strict=True)]
        store.client.log_batch(run_id, metrics=metrics)


def add_points(store: Store, run: "Run", points: list[Point]) -> None:
    """Log the metrics that the run lacks."""
    present = points_of(store, run, {point.name for point in points})
    log_points(store, run.info.run_id, [point for point in points if (point.name, point.step) not in present])


def points_of(store: Store, run: "Run", names: Iterable[str]) -> dict[tuple[str, int], float]:
    """The values that a run has, by (name, step)."""
    present = sorted(set(names) & run.data.metrics.keys())
    histories = [store.client.get_metric_history(run.info.run_id, name) for name in present]
    return {(metric.key, metric.step): metric.value for history in histories for metric in history}


def _runs(store: Store, key: str) -> list["Run"]:
    """The runs of a key that count, best first. There is only one, unless the call that made it was repeated because
    its answer was lost: then each call may have made a run, but only one of them became known and has metrics."""
    where = f"tags.`{KEY}` = '{key}' and tags.`{SUPERSEDED}` = 'no'"
    found = store.client.search_runs([store.experiment_id], where)
    return sorted(found, key=lambda r: (len(r.data.metrics), r.info.start_time, r.info.run_id), reverse=True)


def _same_training(present: dict[tuple[str, int], float], curves: tuple[Point, ...]) -> bool:
    expected = {(point.name, point.step): point.value for point in curves}
    return all(
        place in expected and math.isclose(expected[place], value, rel_tol=1e-9) for place, value in present.items()
    )


def _batched(items: list[_Item], size: int) -> Iterator[list[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _log(store: Store, run: "Run", record: Record, present: dict[tuple[str, int], float]) -> None:
    from mlflow.entities import Param, RunTag

    client, run_id = store.client, run.info.run_id
    missing = [point for point in record.curves if (point.name, point.step) not in present]
    figures = dict(record.figures)
    if record.images_per_second is not None:
        figures["images_per_second"] = record.images_per_second
    log_points(store, run_id, missing, PointTimes(store.home, record.key))
    log_points(store, run_id, [Point(k, 0, value) for k, value in figures.items() if run.data.metrics.get(k) != value])
    # A param cannot be changed in MLflow. Those that decide the weights are the same for the same key; of the
    # rest (number of workers and the like) the first is kept.
    new = [Param(name, value) for name, value in record.params.items() if name not in run.data.params]
    for params in _batched(new, _FEW):
        client.log_batch(run_id, params=params)
    for file, folder in record.files:
        client.log_artifact(run_id, str(file), folder)
    _log_grids(store, run_id, [file for file, folder in record.files if folder == "samples"])
    tags = record.tags | {CONTENT: record.content}  # last: a run that was cut short is not taken for whole
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    client.set_terminated(run_id, "FINISHED")


def _log_grids(store: Store, run_id: str, files: list[Path]) -> None:
    """Sample grids step_N.png once more as images by step, which MLflow's page has a slider for."""
    present = [artifact.path for artifact in store.client.list_artifacts(run_id, "images")]
    for file in files:
        step = int(file.stem.removeprefix("step_"))
        if not any(f"/samples+step+{step}+" in path for path in present):
            with Image.open(file, formats=("PNG",)) as image:
                store.client.log_image(run_id, image, key="samples", step=step)
