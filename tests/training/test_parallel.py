"""Two ranks on two halves of a batch do what one process does on the whole."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from components.systems import build
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from tests.training.helpers import small_run, weights_of


def rank_main(rank: int, world: int, port: int, run: Run) -> None:
    """One rank of a gloo group."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    fit(run, Group(rank, world))
    dist.destroy_process_group()


def fit_on(run: Run, world: int) -> dict[str, torch.Tensor]:
    """Train a run on some ranks and give its weights."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(rank_main, (world, port, run), nprocs=world)
    return weights_of(run)


@pytest.mark.parametrize("norm", ["instance", "sync_batch"])
def test_one_step_of_two_ranks_is_one_of_the_joined_batch(tiny_shards: Path, tmp_path: Path, norm: str):
    one, two = (
        small_run(tiny_shards, tmp_path / name, norm=norm, steps=1, learning_rate=1e-3) for name in ("one", "two")
    )
    fit(one, Group())
    a, b = weights_of(one), fit_on(two, 2)
    gradients = [run.checkpoints.last().state()["optimizers"] for run in (one, two)]
    settled = total = 0
    for phase in ("discriminator", "generator"):
        names = [name for name, _ in build(one.system, one.shape()).networks.named_parameters()]
        names = [name for name in names if name.startswith(phase)]
        for index, name in enumerate(names):
            # After one step Adam's first moment is the gradient times (1 - beta1).
            first, second = (states[phase]["state"][index]["exp_avg"] * 2 for states in gradients)
            assert torch.allclose(first, second, atol=1e-5, rtol=1e-4), name
            # Adam divides by the gradient's own size, so where that is nothing but rounding (a bias that an
            # InstanceNorm cancels) the weight moves by the learning rate in a direction of no meaning.
            sure = first.abs() > 1e-6
            assert torch.allclose(a[name][sure], b[name][sure], atol=1e-5), name
            settled, total = settled + int(sure.sum()), total + sure.numel()
    assert settled > 0.9 * total
    for name in (key for key in a if "running" in key):
        assert torch.allclose(a[name], b[name], atol=1e-5), name


def test_two_ranks_share_an_epoch_and_resume_bitwise(tiny_shards: Path, tmp_path: Path):
    whole = small_run(tiny_shards, tmp_path / "whole", norm="batch", steps=4, checkpoint_every=2)
    cut = small_run(tiny_shards, tmp_path / "cut", norm="batch", steps=4, checkpoint_every=2)
    a = fit_on(whole, 2)
    fit_on(cut, 2)
    cut.checkpoints.drop_after(2)  # as if killed before the last checkpoint
    b = fit_on(cut, 2)
    for key in a:
        assert torch.equal(a[key], b[key]), key
