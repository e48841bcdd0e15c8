"""The result of a study, on the run whose pictures it was about."""

from collections.abc import Mapping

from components.tracking.record import Point
from components.tracking.run import find_run, log_points
from components.tracking.store import Store, faults_of_the_store


def log_study(store: Store, key: str, run_id: str | None, figures: Mapping[str, float], protocol: str) -> str | None:
    """Log the results of a study on the run of a training, except those that are already there.

    Args:
        key: of the training; its newest run is taken where no `run_id` is given.
        figures: by their names in MLflow.
        protocol: the hash of how they were measured, a tag of the run.

    Returns:
        The run's id; None where this MLflow has none of that key.

    Raises:
        Fault: MLflow refuses or is gone.
    """
    with faults_of_the_store(store.uri):
        run = store.client.get_run(run_id) if run_id else find_run(store, key)
        if run is None:
            return None
        there = run.data.metrics
        log_points(
            store,
            run.info.run_id,
            [Point(name, 0, value) for name, value in figures.items() if there.get(name) != value],
        )
        store.client.set_tag(run.info.run_id, "pix2pipe.study", protocol)
        return str(run.info.run_id)
