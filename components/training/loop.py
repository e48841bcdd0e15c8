"""The one loop that trains every system."""

import math
import time
from contextlib import nullcontext

import torch
from torch import Tensor

from components.faults import Fault
from components.systems import build
from components.systems.weights import require_fit
from components.training.batches import training_stream
from components.training.checkpoint import STATE, WEIGHTS, Checkpoint
from components.training.clock import RunClock
from components.training.feed import Feed
from components.training.group import Group
from components.training.log import Log
from components.training.numerics import numerics
from components.training.optimizers import rates, state_of
from components.training.optimizers import restore as restore_optimizer
from components.training.run import Run, require_file
from components.training.terms import NotFinite
from components.training.trainer import Trainer
from components.training.validation import Validation
from components.training.warm_start import begin_from

_NAMED = 16  # samples that a message names


def fit(run: Run, group: Group, until: int | None = None) -> None:
    """Train a run to its last step, from its last checkpoint if it has one; every rank calls this.

    Rank 0 writes: log.jsonl each `log_every` steps, and each `checkpoint_every` steps (and at the end) a
    validation, a sample grid and a checkpoint. Asked by `group.stop`, it ends after a step that it saves as it is.

    Args:
        until: stop after this step of the run, saved; a later call goes on as if there had been no stop (but for
            the last bits of BatchNorm's moments where ranks keep their own: they take their mean once more).

    Raises:
        Fault: a term, a gradient or a weight that is not finite, on all ranks alike and at the same step.
    """
    with numerics(run.train, group.device):
        _fit(run, group, until)


def _fit(run: Run, group: Group, until: int | None) -> None:
    began = time.perf_counter()
    group.alive()
    torch.manual_seed(run.train.seed)
    shape, steps = run.shape(), run.num_steps()
    end = steps if until is None else min(steps, until)
    system = build(run.system, shape)
    feed = Feed(run, shape, group)
    trainer = Trainer(system, run.train, steps, group, feed.prepare)
    step = restore(run, trainer)
    validation = Validation(run, shape, trainer, group)
    with Log(run.folder, step) if group.leads else nullcontext() as log:
        clock = RunClock(run, group, log, step, time.perf_counter() - began)
        for inputs in feed.inputs(step, end):
            trainer.step(step, inputs)
            step += 1
            saves = step % run.train.checkpoint_every == 0 or step == end
            if step % run.train.log_every == 0 or saves:
                terms, fault = trainer.terms.read()
                if fault is not None:
                    raise Fault(_not_finite(fault, run, group))
                _check_finite(terms, step, run)
                rate = rates(system, trainer.optimizers, run.train, step - 1, steps)[0]
                clock.log(step, {"terms": terms | {"learning_rate": rate}})
            if saves:
                with clock.apart("validation"):
                    group.average(trainer.buffers())
                    figures = validation.measure()
                    drawn = validation.draw(step)
                _check_finite(figures, step, run)
                with clock.apart("checkpoint"):
                    if log is not None:
                        # The log first: whatever a run resumed from this checkpoint keeps of it must be there.
                        log.append({"step": step, "validation": figures | drawn})
                        log.flush()
                        save(run, trainer, step, next(iter(figures.values()), None))
            if group.stop.due(step):
                if not saves:
                    with clock.apart("checkpoint"):
                        save_between(run, trainer, step)
                break
        clock.finish()


def restore(run: Run, trainer: Trainer) -> int:
    """Put a trainer where the run's last checkpoint stood, or at what the run starts from; gives the steps taken."""
    checkpoint = run.checkpoints.last()
    if checkpoint is not None:
        load(checkpoint, trainer)
    elif run.train.start_from is not None:
        begin_from(require_file(run.train.start_from), trainer)
    step = checkpoint.step if checkpoint else 0
    if trainer.group.leads:
        run.checkpoints.drop_after(step)
    return step


def save(run: Run, trainer: Trainer, step: int, score: float | None) -> Checkpoint:
    """Write everything that decides the next step."""
    weights: dict[str, Tensor] = dict(trainer.system.networks.state_dict())
    if trainer.ema is not None:
        weights |= {f"ema.{key}": value for key, value in trainer.ema.averages.items()}
    state = {
        "optimizers": {name: state_of(optimizer) for name, optimizer in trainer.optimizers.items()},
        "memories": {name: memory.state_dict() for name, memory in trainer.system.memories.items()},
        "terms": trainer.terms.state_dict(),
    }
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise Fault(f"step {step}: {name} is not finite; {_advice(run)}")
    return run.checkpoints.save(step, weights, state, score)


def save_between(run: Run, trainer: Trainer, step: int) -> None:
    """Save at a step that is neither validated nor logged; every rank calls this.

    What was added to the log's next record is saved with it, so that the curves show no stop.
    """
    _, fault = trainer.terms.read(keep=True)
    if fault is not None:
        raise Fault(_not_finite(fault, run, trainer.group))
    trainer.group.average([*trainer.buffers(), *trainer.terms.rows()])
    if trainer.group.leads:
        save(run, trainer, step, None)


def load(checkpoint: Checkpoint, trainer: Trainer) -> None:
    """Take networks, averages, optimizers and memories from a checkpoint.

    Raises:
        Fault: it is not one of this system.
    """
    weights, state = checkpoint.weights(), checkpoint.state()
    expected: dict[str, Tensor] = dict(trainer.system.networks.state_dict())
    if trainer.ema is not None:
        expected |= {f"ema.{key}": value for key, value in trainer.ema.averages.items()}
    require_fit(weights, expected, checkpoint.folder / WEIGHTS, "this run")
    own = {key: value for key, value in weights.items() if not key.startswith("ema.")}
    trainer.system.networks.load_state_dict(own)
    if trainer.ema is not None:
        trainer.ema.load({key.removeprefix("ema."): v for key, v in weights.items() if key.startswith("ema.")})
    try:
        for name, optimizer in trainer.optimizers.items():
            restore_optimizer(optimizer, state["optimizers"][name])
        for name, memory in trainer.system.memories.items():
            memory.load_state_dict(state["memories"][name])
        trainer.terms.load_state_dict(state["terms"])
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise Fault(f"{checkpoint.folder / STATE}: not the training state of this run ({error}); remove it") from error


def _not_finite(fault: NotFinite, run: Run, group: Group) -> str:
    """What was not finite, where, and the samples it came of, which are a function of the step."""
    names = [name for rank in fault.ranks for name in training_stream(run, Group(rank, group.world)).names(fault.step)]
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    where = "" if group.world == 1 else f" on rank {' and '.join(map(str, fault.ranks))}"
    return f"step {fault.step + 1}: {fault.name} is not finite{where}; its samples: {listed}; {_advice(run)}"


def _check_finite(figures: dict[str, float], step: int, run: Run) -> None:
    for name, value in figures.items():
        if not math.isfinite(value):
            raise Fault(f"step {step}: {name} is not finite; {_advice(run)}")


def _advice(run: Run) -> str:
    last = next(reversed(run.checkpoints.all()), None)
    kept = f"the checkpoint of step {last.step} is kept" if last else "there is no checkpoint yet"
    return f"lower train.learning_rate or set train.precision to float32 ({kept})"
