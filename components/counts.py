"""Counts: what params ask of the number of samples, of workers and of pictures, checked before anything is trained."""

from components.faults import Fault
from components.params import Params, value_at
from components.shards.manifest import Manifest
from components.shards.turns import require_each_class, require_varied
from components.systems.judge import judge_task
from components.training.config import TrainConfig
from components.training.run import asked_of

_BATCH = "train.batch_size"
_LEAST = 2  # samples that a split needs to be measured


def check_counts(params: Params) -> None:
    """Refuse numbers that cannot work together, whatever the data.

    Raises:
        Fault: naming the param.
    """
    for section, train in (("train", params.train), ("judge.train", params.judge.train)):
        _check_ranks(section, train)
    if params.tune.num_trials:
        _check_search(params)
    if (count := params.generate.count) is not None and count < _LEAST:
        raise Fault(f"generate.count {count}: metrics need at least {_LEAST} pictures")


def check_data(manifest: Manifest) -> None:
    """Refuse splits that are too small to be measured, when the shards are written rather than after training.

    Raises:
        Fault: naming the split, how many samples it has, and what to do.
    """
    for split in manifest.splits:
        kind, count = split.partition("/")[0], manifest.count(split)
        if kind != "train" and count < _LEAST:
            raise Fault(
                f"the {split} split has {count} sample, and metrics need at least {_LEAST}; give more "
                "pictures, or hold out more of them (fetch.holdout, shard.cut.pattern)"
            )


def check_classes(params: Params, manifest: Manifest) -> None:
    """Refuse classes of too few samples, where the system is to show pictures in every class; and attributes that have
    one value in train.

    Raises:
        Fault: naming the class and the split.
    """
    condition = asked_of(params.system, params.train.task or manifest.task).condition
    if params.system.within and manifest.aligned and condition is not None:
        for split in ("train", "test"):
            require_each_class(manifest, split, condition)
    elif condition is not None:
        require_varied(manifest, condition)


def check_batches(params: Params, manifest: Manifest) -> None:
    """Refuse batches that are larger than what they are drawn from: they would hold a sample twice.

    Raises:
        Fault: naming the param, and how many samples there are.
    """
    have = min(manifest.count(split) for split in manifest.splits if split.partition("/")[0] == "train")
    asked = _batches(params) if params.tune.num_trials else [(_BATCH, params.train.batch_size)]
    system = params.judge.system
    if manifest.aligned and system is not None and judge_task(manifest.task, manifest.domains, system) is not None:
        asked.append((f"judge.{_BATCH}", params.judge.train.batch_size))
    for param, size in asked:
        if size > have:
            raise Fault(f"{param} {size}: the train split has {have} samples; make it smaller, or give more pictures")


def _batches(params: Params) -> list[tuple[str, int]]:
    """The sizes of batches that a search tries, each with the param that names it."""
    dimension = params.tune.space.get(_BATCH)
    tried = () if dimension is None else dimension.choice or ()
    return [(_BATCH, params.train.batch_size), *((f"tune.space.{_BATCH}", int(size)) for size in tried)]


def _check_search(params: Params) -> None:
    """Batches are shared by the workers of a trial and, if they win, by those of train."""
    for path, dimension in params.tune.space.items():
        try:
            now = value_at(params, path)
        except (KeyError, TypeError):
            raise Fault(f"tune.space.{path}: no such param of this system; take it out") from None
        if dimension.choice is None and isinstance(now, int):
            raise Fault(f"tune.space.{path}: only whole numbers can be tried here; list them under choice")
    for param, size in _batches(params):
        for section, workers in (("tune", params.tune.num_workers), ("train", params.train.num_workers)):
            if workers and size % workers:
                raise Fault(
                    f"{param} {size} cannot be shared evenly by the {workers} workers of {section}; make each one that "
                    f"is tried a multiple of {section}.num_workers"
                )


def _check_ranks(section: str, train: TrainConfig) -> None:
    if train.num_workers and train.batch_size % train.num_workers:
        raise Fault(
            f"{section}.batch_size {train.batch_size} cannot be shared evenly by {train.num_workers} workers; make it "
            f"a multiple of {section}.num_workers"
        )
