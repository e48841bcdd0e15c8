"""Run: everything a rank must know to train, and the folder the run lives in."""

from dataclasses import dataclass
from pathlib import Path

from components.faults import Fault
from components.samples.domain import Domain
from components.samples.schema import Section, user_paths
from components.samples.task import Task
from components.shards.manifest import Manifest
from components.shards.reader import open_side
from components.shards.turns import require_each_class, require_varied
from components.storage.files import exists, sha256_file, sha256_json
from components.storage.home import AnyPath, located
from components.systems import AnySystemConfig, unpaired_systems
from components.systems.system import Shape
from components.training.checkpoint import CheckpointStore
from components.training.code import code_sha256
from components.training.config import TrainConfig

LOCK = "run.lock"  # of a run's folder, held by the process that is at work there


@dataclass(frozen=True)
class Run:
    """A training run; picklable, so that it reaches the workers.

    Its folder is named by `key`, the hash of all that decides its weights (params, data, code): a stage
    that was killed finds its run again, and a changed one never resumes another's.

    Attributes:
        shards: where every node can read the manifest of the data.
        folder: `runs_root/key`: checkpoints, log.jsonl, sample grids, throughput.json.
        task: what is made of what, no more of it than the system needs.
        family: the hash of the same but for the length, which runs have in common that differ in it alone.
    """

    system: AnySystemConfig
    train: TrainConfig
    shards: AnyPath
    folder: AnyPath
    task: Task
    key: str
    family: str = ""

    @property
    def checkpoints(self) -> CheckpointStore:
        """Where the run is kept."""
        return CheckpointStore(self.folder / "checkpoints", self.train.keep_checkpoints, self.key)

    def shape(self) -> Shape:
        """What the system must fit."""
        manifest, task = Manifest.read(self.shards), self.task
        source, target, asked = (
            None if name is None else as_seen(manifest.domains[name], self.train)
            for name in (task.source, task.target, task.condition)
        )
        assert target is not None
        frequencies: tuple[float, ...] = ()
        if target.kind == "label":
            counts = open_side(self.shards, "train", task.target).histogram(task.target)
            if target.ignore is not None:
                counts[target.ignore : target.ignore + 1] = 0
            frequencies = tuple((counts / max(1, counts.sum())).tolist())
        return Shape(source, target, frequencies, asked)

    def num_steps(self) -> int:
        """Steps of the whole run; an epoch of two sides of unequal size is one of the larger."""
        manifest = Manifest.read(self.shards)
        return self.train.num_steps(max(manifest.count(manifest.side("train", name)) for name in self.task.domains))


def plan(
    system: AnySystemConfig,
    train: TrainConfig,
    shards: AnyPath,
    runs_root: AnyPath,
    task: Task | None = None,
) -> Run:
    """Settle what a run is, before anything is computed.

    Args:
        task: overrides both the params' and the data's own.

    Raises:
        Fault: the task names a domain that the shards do not have, or lacks what the system needs; the system
            learns from pairs, and the shards hold none; or a category that pictures are to be shown in has none.
    """
    manifest = Manifest.read(shards)
    task = asked_of(system, task or train.task or manifest.task)
    for role in ("source", "target", "condition"):
        name = getattr(task, role)
        if name is not None and name not in manifest.domains:
            raise Fault(f"train.task.{role}: no domain {name}; the shards have {', '.join(manifest.domains)}")
    if system.within and task.condition is not None:
        if not manifest.aligned:
            raise Fault(f"system.name: {system.name} needs pictures with a condition, not two sides of pictures")
        for split in ("train", "test"):
            require_each_class(manifest, split, task.condition)
    elif task.condition is not None:
        require_varied(manifest, task.condition)
    if task.source not in (None, task.target) and system.paired and not manifest.aligned:
        raise Fault(
            f"system.name: {system.name} learns from aligned pairs, and {task.source} and {task.target} are two sides "
            f"without pairs; systems that learn without: {', '.join(unpaired_systems())}"
        )
    if train.num_workers and train.batch_size % train.num_workers:
        raise Fault(f"train.batch_size {train.batch_size} cannot be shared evenly by {train.num_workers} workers")
    decisive: dict[str, object] = {
        "code": code_sha256(type(system).__module__),
        "system": _plain(system),
        "train": train.decisive(),
        "manifest": manifest.sha256,
        "task": task.model_dump(mode="json"),
    }
    if files := {param: sha256_file(path) for param, path in files_of(system).items()}:
        decisive["files"] = files
    if train.start_from is not None:
        decisive["start"] = sha256_file(require_file(train.start_from))
    key = sha256_json(decisive)[:16]
    family = sha256_json(decisive | {"train": train.decisive(length=False)})
    folder = runs_root / key
    folder = folder.resolve() if isinstance(folder, Path) else folder
    return Run(system, train, manifest.published(shards), folder, task, key, family)


def files_of(system: AnySystemConfig) -> dict[str, AnyPath]:
    """The files that a system's params name, by param: every rank reads them, and what they hold decides the weights.

    Raises:
        Fault: one is not there.
    """
    found = {f"system.{param}": located(value) for param, value in user_paths(system)}
    for param, file in found.items():
        if not exists(file):
            raise Fault(f"{param}: {file}: no such file")
    return found


def require_file(start: str) -> AnyPath:
    """Where the weights lie that a run starts from.

    Raises:
        Fault: there is no such file, or a version or a run that no stage has looked up.
    """
    if start.startswith(("models:/", "run:")):
        raise Fault(f"train.start_from: {start} is looked up by the stages judge, tune and train; name a file here")
    file = located(start)
    if not exists(file):
        raise Fault(f"train.start_from: {file}: no such file")
    return file


def asked_of(system: AnySystemConfig, task: Task) -> Task:
    """What a system makes of a task: it takes no more of it than it needs.

    A system that translates within one domain translates pictures of the target, whatever the source is.

    Raises:
        Fault: it needs what the task does not have, or would translate pictures into themselves.
    """
    if system.within:
        task = task.model_copy(update={"source": task.target})
    for need in sorted(system.needed):
        if getattr(task, need) is None:
            has = f"{task.title} has none" if need == "source" else f"the data's task, {task.title}, asks for none"
            what = "a source to translate" if need == "source" else "a condition (a category or attributes)"
            raise Fault(f"system.name: {system.name} needs {what}, and {has}; name one in train.task or shard.task")
    kept = {need: getattr(task, need) for need in system.needed}
    if not system.within and kept.get("source") == task.target:
        raise Fault(f"train.task: {system.name} would translate {task.target} into itself; name another source")
    return Task(target=task.target, **kept)


def as_seen(domain: Domain, train: TrainConfig) -> Domain:
    """A domain as networks see it: a label map as `train.labels` says."""
    return domain.model_copy(update={"encoding": train.labels}) if domain.kind == "label" else domain


def _plain(config: Section) -> dict[str, object]:
    return config.model_dump(mode="json")
