"""`make bench`: a step of CycleGAN through the loop against the same step written out plainly, step by step in turns.

Both have the same networks, batches and arithmetic (no average is kept). What the plain one lacks is all that the
loop does beside: streams from shards, encoding, schedules, means of the losses.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.plain import Step, plain_cyclegan
from benchmarks.step import make_shards
from components.objectives.replay_pool import ReplayPool
from components.systems import build
from components.systems.parts import ResNetConfig
from components.systems.translation.cyclegan import CycleGANConfig
from components.training.config import TrainConfig
from components.training.feed import Feed
from components.training.group import Group
from components.training.run import Run, plan
from components.training.trainer import Trainer

WARM_UP = 2


def through_the_loop(run: Run, steps: int) -> Step:
    """A step of Trainer, with its data."""
    shape = run.shape()
    torch.manual_seed(0)
    feed = Feed(run, shape, Group())
    trainer = Trainer(build(run.system, shape), run.train, 10**6, Group(), feed.prepare)
    batches = feed.inputs(0, WARM_UP + steps)

    def step(index: int) -> None:
        trainer.step(index, next(batches))

    return step


def plainly(run: Run) -> Step:
    """A step as a script would write it, on one batch that is in memory."""
    shape = run.shape()
    torch.manual_seed(0)
    networks = build(run.system, shape).networks.to(memory_format=torch.channels_last)
    feed = Feed(run, shape, Group())
    batch = feed.prepare(next(feed.inputs(0, 1)))
    return plain_cyclegan(networks, batch, [ReplayPool(50).draw, ReplayPool(50).draw], fused=True)


def seconds(step: Step, index: int) -> float:
    """What one step takes."""
    began = time.perf_counter()
    step(index)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="steps of each kind, in turns (default 40)")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=24, help="of the ResNet with 6 blocks and of the PatchGAN")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        shards = make_shards(Path(name) / "shards", 64)
        system = CycleGANConfig(generator=ResNetConfig(width=arguments.width, blocks=6))
        system = system.model_copy(
            update={"discriminator": system.discriminator.model_copy(update={"width": arguments.width})}
        )
        train = TrainConfig(steps=1, batch_size=arguments.batch, labels="colour")
        run = plan(system, train, shards, Path(name) / "runs")
        kinds = through_the_loop(run, arguments.steps), plainly(run)
        ours, plain = [], []
        for index in range(WARM_UP + arguments.steps):
            # Which of the two goes first changes, so that what the machine does beside falls on both.
            taken = {kind: seconds(kind, index) for kind in (kinds if index % 2 else kinds[::-1])}
            if index >= WARM_UP:
                ours.append(taken[kinds[0]])
                plain.append(taken[kinds[1]])
        fast, slow = statistics.median(ours), statistics.median(plain)
        ratios = statistics.quantiles((a / b for a, b in zip(ours, plain, strict=True)), n=4)
        print(f"CycleGAN, batch {arguments.batch}: {1000 * fast:.0f} ms a step, plainly {1000 * slow:.0f}: ", end="")
        print(f"ratio {ratios[1]:.2f} (quartiles {ratios[0]:.2f} and {ratios[2]:.2f})")


if __name__ == "__main__":
    main()
