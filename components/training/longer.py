"""Longer: a run that begins takes over what a run of another length has trained, where its steps are the same."""

import json
from dataclasses import dataclass

from components.faults import Fault
from components.storage.files import listed, read_bytes, read_json, write_bytes, write_json, write_text
from components.storage.locks import exclusive
from components.training import log
from components.training.checkpoint import Checkpoint, CheckpointStore
from components.training.config import TrainConfig
from components.training.optimizers import rate_factor
from components.training.run import LOCK, Run

FAMILY = "family.json"  # in a run's folder: the hash that it shares with runs of other lengths, and its own length


@dataclass(frozen=True)
class _Relative:
    """A run whose params differ in its length alone, `steps`, with its last checkpoint."""

    key: str
    steps: int
    store: CheckpointStore
    last: Checkpoint


def go_on(run: Run) -> tuple[str, ...]:
    """Let a run without a checkpoint go on from the last one of a relative, if both take the same steps up to there.

    What is taken over is what the run would have written itself: checkpoints, log and sample grids. The relative stays
    as it is.

    Returns:
        What people should know: from where the run goes on, or why it begins anew although there is a shorter run.

    Raises:
        Fault: another process is at work in the run's folder, or a relative's folder holds what is not of it.
    """
    with exclusive(run.folder / LOCK, str(run.folder)):
        steps, anew = run.num_steps(), []
        write_json(run.folder / FAMILY, {"family": run.family, "steps": steps})
        if run.checkpoints.all():
            return ()
        shorter = [relative for relative in _relatives(run) if relative.last.step < steps]
        for relative in sorted(shorter, key=lambda each: (-each.last.step, each.key)):
            other = f"run {relative.key}, which differs in length alone ({relative.steps:,} steps)"
            if why := _difference(run, relative):
                anew.append(
                    f"does not go on from {other}: {why}; train.start_from: run:{relative.key} begins with its weights"
                )
            elif _taken_over(run, relative):
                return (f"goes on from step {relative.last.step:,} of {other}",)
    return tuple(anew[:1])


def same_rates(config: TrainConfig, until: int, one: int, other: int) -> bool:
    """Whether two runs, of `one` and of `other` steps, have the same learning rates in the first `until` steps."""
    return all(rate_factor(config, step, one) == rate_factor(config, step, other) for step in range(until))


def _difference(run: Run, relative: _Relative) -> str:
    """Why the steps that a relative has taken are not those of the run; empty where they are."""
    if run.system.paced:
        return f"what {run.system.name} does at a step depends on the length of the run"
    if not same_rates(run.train, relative.last.step, relative.steps, run.num_steps()):
        share = f"{run.train.constant_share:g}"
        return f"its learning rate falls over its own length (train.constant_share is {share}, and only 1 never falls)"
    return ""


def _relatives(run: Run) -> list[_Relative]:
    """The other runs of the family, beside the run, that have a whole checkpoint."""
    runs, found = run.folder.parent, []
    for name in listed(runs):
        key, _, file = name.partition("/")
        if file != FAMILY or key == run.key:
            continue
        known = read_json(runs / name)
        if known.get("family") == run.family:
            store = CheckpointStore(runs / key / "checkpoints", run=key)
            if last := store.last():
                found.append(_Relative(key, known["steps"], store, last))
    return found


def _taken_over(run: Run, relative: _Relative) -> bool:
    """Copy what a relative has, its last checkpoint last; false if that was deleted by a process that trains it."""
    last, theirs = relative.last, relative.last.folder.parent.parent
    records = [record for record in log.read(theirs) if record["step"] <= last.step]
    write_text(run.folder / log.LOG, "".join(json.dumps(record) + "\n" for record in records))
    for name in listed(theirs / "samples"):
        write_bytes(run.folder / "samples" / name, read_bytes(theirs / "samples" / name))
    for checkpoint in relative.store.all():
        try:
            if checkpoint.step > last.step or not checkpoint.is_whole():
                continue
            weights, state = checkpoint.weights(), checkpoint.state()
        except (Fault, FileNotFoundError):
            continue
        # The relative was measured at its end, where a longer run is not: that one cannot become the best of this run.
        score = checkpoint.score if checkpoint.step % run.train.checkpoint_every == 0 else None
        run.checkpoints.save(checkpoint.step, weights, state, score)
    return any(checkpoint.step == last.step for checkpoint in run.checkpoints.all())
