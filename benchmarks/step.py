"""`make bench`: images/s of the default system, where its step's time goes, and one worker against two.

All figures are of one sitting, so their ratios hold on a noisy machine; nothing else should run beside it.
Two ranks of one core each are compared with one process of two, at the same global batch, in turns.
"""

import argparse
import os
import socket
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from PIL import Image

from components.params import load_params
from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.writer import write_set
from components.systems import build
from components.training.config import TrainConfig
from components.training.feed import Feed
from components.training.group import Group
from components.training.run import Run, plan
from components.training.trainer import Trainer

WARM_UP = 3


def make_shards(root: Path, size: int, count: int = 64) -> Path:
    """Random tiles of the default shape, as smooth as photos are; what else they show does not matter to the clock."""
    rng = np.random.default_rng(0)
    classes = tuple(f"c{i}" for i in range(9))
    domains = {
        "labels": Domain(kind="label", classes=classes, palette=tuple((i, i, i) for i in range(9))),
        "photo": Domain(kind="image"),
    }

    def sample() -> dict[str, np.ndarray]:
        blocks = rng.integers(0, 9, (size // 8, size // 8)).repeat(8, 0).repeat(8, 1)
        coarse = Image.fromarray(rng.integers(0, 255, (size // 8, size // 8, 3), np.uint8))
        photo = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
        return {"labels": blocks.astype(np.uint8), "photo": photo}

    splits = {
        name: [(f"{name}{i}", sample()) for i in range(count if name == "train" else 16)]
        for name in ("train", "val", "test")
    }
    write_set(root, "bench", sized(domains, (size, size)), Task(source="labels", target="photo"), splits)
    return root


def measure(run: Run, group: Group, steps: int, reduce: bool = True) -> dict[str, float]:
    """Seconds a step, whole and by part, on this rank; without `reduce`, ranks keep their gradients to themselves."""
    shape = run.shape()
    torch.manual_seed(0)
    feed = Feed(run, shape, group)
    trainer = Trainer(build(run.system, shape), run.train, 10**6, group)
    batches = feed.inputs(0, WARM_UP + steps)
    quiet = ExitStack()
    for module in () if reduce else trainer.modules.values():
        quiet.enter_context(module.no_sync())
    for index in range(WARM_UP):
        trainer.step(index, feed.prepare(next(batches)))
    trainer.profile, data = {}, 0.0
    began = time.perf_counter()
    for index in range(WARM_UP, WARM_UP + steps):
        waited = time.perf_counter()
        batch = feed.prepare(next(batches))
        data += time.perf_counter() - waited
        trainer.step(index, batch)
    whole = time.perf_counter() - began
    quiet.close()
    return {"step": whole / steps, "data": data / steps} | {k: v / steps for k, v in trainer.profile.items()}


def rank_main(rank: int, port: int, run: Run, steps: int, out: Path) -> None:
    """One of two ranks, on one core."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    figures = measure(run, Group(rank, 2), steps)
    alone = measure(run, Group(rank, 2), steps, reduce=False)
    # Reduction runs beside the backward, so what it costs is what the step takes longer than without it.
    figures["all-reduce"] = max(0.0, figures["step"] - alone["step"])
    figures["backward"] -= figures["all-reduce"]
    if rank == 0:
        torch.save(figures, out)
    dist.destroy_process_group()


def on_two(run: Run, steps: int, folder: Path) -> dict[str, float]:
    """The same, on two ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = folder / "figures.pt"
    mp.spawn(rank_main, (port, run, steps, out), nprocs=2)
    figures: dict[str, float] = torch.load(out, weights_only=True)
    return figures


def shares(figures: dict[str, float]) -> str:
    """The parts of a step in per cent."""
    parts = {name: seconds for name, seconds in figures.items() if name != "step"}
    parts["rest"] = figures["step"] - sum(parts.values())
    return ", ".join(f"{name} {100 * seconds / figures['step']:.0f} %" for name, seconds in parts.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--steps", type=int, default=20, help="steps a measurement (default 20)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind, in turns (default 3)")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32], help="global batch sizes")
    arguments = parser.parse_args()
    params = load_params(arguments.params)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = make_shards(folder / "shards", params.shard.cut.image_size)
        for batch in arguments.batches:
            train = params.train.model_dump() | {"batch_size": batch, "task": None}
            run = plan(params.system, TrainConfig.model_validate(train), shards, folder / "runs")
            one, two = [], []
            for _ in range(arguments.rounds):
                one.append(measure(run, Group(), arguments.steps))
                two.append(on_two(run, arguments.steps, folder))
            fast, slow = (statistics.median(f["step"] for f in kind) for kind in (one, two))
            rates = f"one worker {batch / fast:.1f} images/s, two {batch / slow:.1f}: ratio {fast / slow:.2f}"
            print(f"batch {batch}: {rates}")
            print(f"  one worker: {shares(min(one, key=lambda f: f['step']))}")
            print(f"  two workers: {shares(min(two, key=lambda f: f['step']))}")


if __name__ == "__main__":
    main()
