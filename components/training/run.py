"""Run: everything a rank must know to train, and the folder the run lives in."""

from dataclasses import dataclass
from pathlib import Path

from components.faults import Fault
from components.files import sha256_json
from components.home import AnyPath
from components.schema import Section
from components.shards.manifest import Manifest
from components.shards.reader import open_side
from components.systems import AnySystemConfig, unpaired_systems
from components.systems.system import Shape
from components.training.checkpoint import CheckpointStore
from components.training.code import code_sha256
from components.training.config import TrainConfig


@dataclass(frozen=True)
class Run:
    """A training run; picklable, so that it reaches the workers.

    Its folder is named by `key`, the hash of all that decides its weights (params, data, code): a stage
    that was killed finds its run again, and a changed one never resumes another's.

    Attributes:
        shards: where every node can read the manifest of the data.
        folder: `runs_root/key`: checkpoints, log.jsonl, sample grids, throughput.json.
        task: the domains (source, target).
    """

    system: AnySystemConfig
    train: TrainConfig
    shards: AnyPath
    folder: AnyPath
    task: tuple[str, str]
    key: str

    @property
    def checkpoints(self) -> CheckpointStore:
        """Where the run is kept."""
        return CheckpointStore(self.folder / "checkpoints", self.train.keep_checkpoints, self.key)

    def shape(self) -> Shape:
        """What the system must fit."""
        manifest = Manifest.read(self.shards)
        source, target = (
            domain.model_copy(update={"encoding": self.train.labels}) if domain.kind == "label" else domain
            for domain in (manifest.domains[name] for name in self.task)
        )
        frequencies: tuple[float, ...] = ()
        if target.kind == "label":
            counts = open_side(self.shards, "train", self.task[1]).histogram(self.task[1])
            if target.ignore is not None:
                counts[target.ignore : target.ignore + 1] = 0
            frequencies = tuple((counts / max(1, counts.sum())).tolist())
        return Shape(source, target, manifest.size, frequencies)

    def num_steps(self) -> int:
        """Steps of the whole run; an epoch of two sides of unequal size is one of the larger."""
        manifest = Manifest.read(self.shards)
        return self.train.num_steps(max(manifest.count(manifest.side("train", name)) for name in self.task))


def plan(
    system: AnySystemConfig,
    train: TrainConfig,
    shards: AnyPath,
    runs_root: AnyPath,
    task: tuple[str, str] | None = None,
) -> Run:
    """Settle what a run is, before anything is computed.

    Args:
        task: overrides both the params' and the data's direction.

    Raises:
        Fault: the task names a domain that the shards do not have, or one domain twice; or the system learns
            from pairs, and the shards hold none.
    """
    manifest = Manifest.read(shards)
    if task is None:
        task = (train.task.source, train.task.target) if train.task else manifest.direction
    for role, name in zip(("source", "target"), task, strict=True):
        if name not in manifest.domains:
            raise Fault(f"train.task.{role}: no domain {name}; the shards have {', '.join(manifest.domains)}")
    if task[0] == task[1]:
        raise Fault(f"train.task: source and target are both {task[0]}")
    if system.paired and not manifest.aligned:
        raise Fault(
            f"system.name: {system.name} learns from aligned pairs, and {task[0]} and {task[1]} are two sides "
            f"without pairs; systems that learn without: {', '.join(unpaired_systems())}"
        )
    if train.num_workers and train.batch_size % train.num_workers:
        raise Fault(f"train.batch_size {train.batch_size} cannot be dealt to {train.num_workers} workers evenly")
    decisive: dict[str, object] = {
        "code": code_sha256(type(system).__module__),
        "system": _plain(system),
        "train": train.decisive(),
        "manifest": manifest.sha256,
        "task": list(task),
    }
    key = sha256_json(decisive)[:16]
    folder = runs_root / key
    folder = folder.resolve() if isinstance(folder, Path) else folder
    return Run(system, train, manifest.published(shards), folder, task, key)


def _plain(config: Section) -> dict[str, object]:
    return config.model_dump(mode="json")
