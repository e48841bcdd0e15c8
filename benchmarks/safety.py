"""`make bench`: what its safety costs a training: seconds of it in a step of the default params, on this machine.

Two trainers take the same steps in turns, one as it is, one that watches nothing: no norms of gradients, no looking
for what is not finite, no sign of life. What is left over of a step is small beside its noise, so the same calls are
also timed where they stand; the shares below are of those seconds. A checkpoint is written in turns as it is (every
number looked at, hashed, synced, renamed) and plainly, and falls on the steps between two. Shards are hashed whole
when they are opened, and each picture's checksums are looked at when it is read: here as if each epoch did both anew,
though a run that fits into memory does them once. Exits with 1 where all of it is more than 3 % of a step.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.step import make_shards
from components.params import load_params
from components.shards.cache import local_shard
from components.shards.damage import broken_chunk
from components.shards.reader import Split
from components.systems import build
from components.systems.system import Terms
from components.training import trainer as training
from components.training.config import TrainConfig
from components.training.feed import Feed
from components.training.group import Group
from components.training.loop import save
from components.training.run import Run, plan
from components.training.terms import NotFinite, TermLog, row_of
from components.training.trainer import Trainer

WARM_UP = 3
BOUND = 0.03


def bare_row(terms: Terms, _: list[Tensor]) -> Tensor:
    """The terms, which any log has, and no more."""
    return torch.stack([*(term.detach() for term in terms.values()), torch.zeros(())])


class Means(TermLog):
    """The means of the terms, and no look at what is not finite."""

    def _first(self, rows: dict[Any, Tensor]) -> NotFinite | None:  # noqa: ARG002
        return None


class _Rows:
    """`row_of`, and the seconds it took."""

    seconds = 0.0

    def __call__(self, terms: Terms, gradients: list[Tensor]) -> Tensor:
        began = time.perf_counter()
        row = row_of(terms, gradients)
        self.seconds += time.perf_counter() - began
        return row


class Silent(Group):
    """A group that gives no sign of life."""

    def alive(self, step: int | None = None) -> None:
        pass


@dataclass
class Watched:
    """Seconds spent in single calls, by what they are for."""

    seconds: dict[str, float] = field(default_factory=dict)

    def watch(self, owner: Any, name: str, what: str) -> None:
        """Count the seconds of a method under `what`."""
        call = getattr(owner, name)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = call(*arguments)
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - began
            return result

        object.__setattr__(owner, name, timed)  # a group is frozen


def trainer_of(run: Run, group: Group) -> Trainer:
    """A trainer at its first step."""
    torch.manual_seed(0)
    return Trainer(build(run.system, run.shape()), run.train, 10**6, group)


def in_turns(calls: tuple[Callable[[int], None], Callable[[int], None]], count: int) -> tuple[list[float], list[float]]:
    """Seconds of either call, `count` times; which goes first changes, so that what else runs falls on both."""
    taken: tuple[list[float], list[float]] = [], []
    for index in range(count):
        for which in (0, 1) if index % 2 else (1, 0):
            began = time.perf_counter()
            calls[which](index)
            taken[which].append(time.perf_counter() - began)
    return taken


def measure_steps(run: Run, steps: int) -> tuple[float, dict[str, float], Trainer]:
    """Seconds of a step, what of them is safety by its parts, and the trainer; prints the ratio of the turns."""
    shape, watched = run.shape(), (Watched(), Watched())
    ours, bare = trainer_of(run, Group()), trainer_of(run, Silent())
    bare.terms = Means(bare.group)
    feed = Feed(run, shape, Group())
    batches = [feed.prepare(inputs) for inputs in feed.inputs(0, 8)]
    rows = _Rows(), bare_row

    def step(trainer: Trainer) -> Callable[[int], None]:
        def take(index: int) -> None:
            training.row_of = rows[trainer is bare]
            trainer.step(index, dict(batches[index % len(batches)]))  # phases leave their fakes in it
            if (index + 1) % run.train.log_every == 0:
                trainer.terms.read()

        return take

    in_turns((step(ours), step(bare)), WARM_UP)
    for trainer, seconds in zip((ours, bare), watched, strict=True):
        seconds.watch(trainer.terms, "read", "looking for what is not finite")
        seconds.watch(trainer.group, "alive", "signs of life")
    taken = in_turns((step(ours), step(bare)), steps)
    ratios = statistics.quantiles((a / b for a, b in zip(*taken, strict=True)), n=4)
    whole = statistics.median(taken[0])
    print(
        f"a step takes {1000 * whole:.1f} ms; beside one that watches nothing: {ratios[1]:.3f} times as long ", end=""
    )
    print(f"(quartiles {ratios[0]:.3f} and {ratios[2]:.3f})")
    mean = sum(taken[0]) / steps
    parts = {name: (seconds - watched[1].seconds[name]) / steps for name, seconds in watched[0].seconds.items()}
    parts["norms of gradients"] = rows[0].seconds / (steps + WARM_UP)
    return whole, {name: seconds * whole / mean for name, seconds in parts.items()}, ours


def measure_checkpoints(run: Run, trainer: Trainer, count: int, folder: Path) -> float:
    """Seconds that a checkpoint takes longer than two plain files of the same content."""

    def plainly(_: int) -> None:
        weights = dict(trainer.system.networks.state_dict())
        if trainer.ema is not None:
            weights |= {f"ema.{key}": value for key, value in trainer.ema.averages.items()}
        torch.save(weights, folder / "weights.pt")
        torch.save([optimizer.state_dict() for optimizer in trainer.optimizers.values()], folder / "state.pt")

    safely, plain = in_turns((lambda index: save(run, trainer, index + 1, None) and None, plainly), count)
    print(
        f"a checkpoint takes {1000 * statistics.median(safely):.1f} ms, plainly {1000 * statistics.median(plain):.1f}"
    )
    return statistics.median(a - b for a, b in zip(safely, plain, strict=True))


def measure_shards(run: Run) -> dict[str, float]:
    """Seconds that a sample's share of its shard's hash takes, and its pictures' checksums."""
    split = Split(Path(str(run.shards)), "train")
    count, entries = len(split), split.manifest.splits["train"]
    paths = [(split.manifest.location(split.root, entry), entry) for entry in entries]
    pictures = [split.png(i, domain) for i in range(count) for domain in split.domains]

    def hashes(_: int) -> None:
        for path, entry in paths:
            local_shard(path, entry.sha256, entry.bytes)

    def checksums(_: int) -> None:
        for picture in pictures:
            broken_chunk(picture)

    hashed, checked = in_turns((hashes, checksums), 20)
    return {
        "hashes of shards": statistics.median(hashed) / count,
        "checksums of pictures": statistics.median(checked) / count,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--steps", type=int, default=60, help="steps of each kind, in turns (default 60)")
    parser.add_argument("--checkpoints", type=int, default=20, help="checkpoints of each kind, in turns (default 20)")
    arguments = parser.parse_args()
    params = load_params(arguments.params)
    train = TrainConfig.model_validate(params.train.model_dump() | {"task": None, "num_workers": 0})
    work = Path(".pix2pipe")  # the disk that runs lie on: a sync of a folder in memory costs nothing
    work.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        shards = make_shards(folder / "shards", params.shard.cut.image_size)
        run = plan(params.system, train, shards, folder / "runs")
        whole, parts, trainer = measure_steps(run, max(arguments.steps, train.log_every))
        parts["checkpoints"] = measure_checkpoints(run, trainer, arguments.checkpoints, folder) / train.checkpoint_every
        parts |= {name: seconds * train.batch_size for name, seconds in measure_shards(run).items()}
    shares = {name: seconds / whole for name, seconds in parts.items()}
    print(", ".join(f"{name} {100 * share:.2f} %" for name, share in shares.items()))
    cost = sum(shares.values())
    print(f"safety costs {100 * cost:.2f} % of a step (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    if cost > BOUND:
        sys.exit(f"more than {100 * BOUND:.0f} %")


if __name__ == "__main__":
    main()
