"""Where the time of a graph went, stage by stage."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from components.storage.files import read_json

STAGES = ("fetch", "shard", "judge", "tune", "train", "generate", "evaluate", "register")
ORCHESTRATION = frozenset({"ray", "mlflow", "checkpoint", "dvc", "start"})
_SAME_RUN = 60.0  # seconds; a longer gap between two stages is a person's pause, not DVC


@dataclass(frozen=True)
class StageTime:
    """Seconds of one stage; None where it was not run here (its outputs came from the cache)."""

    name: str
    wall: float | None
    orchestration: float
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Times:
    """All stages.

    Attributes:
        between: seconds from the end of one stage to the start of the next: DVC, and Python starting up.
        wall: seconds of all, with those between.
        orchestration: the share of `wall` that is Ray, MLflow, checkpoints, DVC and start-up, 0 to 1.
    """

    stages: tuple[StageTime, ...]
    between: float
    wall: float
    orchestration: float


def read_times(folder: Path, present: tuple[str, ...]) -> Times:
    """Read .pix2pipe/timings.

    Args:
        present: the stages whose outputs are there, timed or not.
    """
    timings = {name: read_json(folder / f"{name}.json") for name in STAGES if (folder / f"{name}.json").exists()}
    stages = tuple(_stage(name, timings.get(name)) for name in STAGES if name in present or name in timings)
    ordered = sorted(timings.values(), key=lambda timing: timing["started"])
    gaps = [after["started"] - before["ended"] for before, after in pairwise(ordered)]
    between = sum(gap for gap in gaps if 0 < gap < _SAME_RUN)
    wall = between + sum(stage.wall or 0.0 for stage in stages)
    spent = between + sum(stage.orchestration for stage in stages)
    return Times(stages, between, wall, spent / wall if wall else 0.0)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def _stage(name: str, timing: dict[str, object] | None) -> StageTime:
    if timing is None:
        return StageTime(name, None, 0.0, ())
    started, ended, parts = timing["started"], timing["ended"], timing["parts"]
    assert isinstance(started, (int, float))
    assert isinstance(ended, (int, float))
    assert isinstance(parts, dict)
    shown = tuple(sorted(((str(part), float(seconds)) for part, seconds in parts.items()), key=lambda p: -p[1]))
    spent = sum(seconds for part, seconds in shown if part in ORCHESTRATION)
    return StageTime(name, float(ended - started), min(spent, float(ended - started)), shown)
