"""Spread: many training runs at once, each a task of Ray, on the cluster that RAY_ADDRESS names or on this machine."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from components.cluster.session import ray_session
from components.cluster.workers import Workers
from components.faults import Fault
from components.training.loop import fit
from components.training.run import Run

Listener = Callable[[str, str], None]


def is_finished(run: Run) -> bool:
    """Whether the run has a whole checkpoint of its last step."""
    last = run.checkpoints.last()
    return last is not None and last.step >= run.num_steps()


def spread(runs: Mapping[str, Run], cpus: int, listen: Listener) -> None:
    """Train the unfinished runs, as many at once as the cluster can take; each goes on from its checkpoint.

    A run that fails does not end the others.

    Args:
        runs: by the name to speak of them. cpus: that each takes; where there are GPUs, each takes one beside.
        listen: handed a name and how it ended: `done`, or why it failed.

    Raises:
        Fault: some have failed; or the cluster is too small for a single one.
    """
    waiting = {name: run for name, run in runs.items() if not is_finished(run)}
    if not waiting:
        return
    failed = {}
    with ray_session():
        import ray

        has = ray.cluster_resources()
        if has.get("CPU", 0) < cpus:
            raise Fault(f"--cpus {cpus}: the whole cluster has {has.get('CPU', 0):g} CPUs")
        # A task is tried again where its node is lost; its run then goes on from the last checkpoint.
        task = ray.remote(max_retries=2)(_train)
        tasks = {}
        for name, run in waiting.items():
            gpus = 1 / run.train.workers_per_gpu if has.get("GPU", 0) and run.train.device != "cpu" else 0
            tasks[task.options(num_cpus=cpus, num_gpus=gpus, name=name).remote(run, cpus)] = name
        left = list(tasks)
        while left:
            (ended,), left = ray.wait(left)
            name = tasks[ended]
            try:
                ray.get(ended)
                listen(name, "done")
            except ray.exceptions.RayError as error:
                failed[name] = _reason(error)
                listen(name, failed[name])
    if failed:
        name, why = next(iter(failed.items()))
        raise Fault(f"{len(failed)} of {len(waiting)} runs failed, {name} first: {why}; the others are finished")


def _train(run: Run, cpus: int) -> None:
    """One run in one process."""
    import torch

    torch.set_num_threads(cpus)
    alone = replace(run, train=run.train.model_copy(update={"num_workers": 0}))
    Workers.of(alone).run(fit, alone)


def _reason(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return str(cause).strip().splitlines()[-1] if str(cause).strip() else type(cause).__name__
