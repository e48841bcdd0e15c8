"""Ranks that are processes of their own, there in a moment, so that many can be killed."""

import multiprocessing
import random
import uuid
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from components.training.group import Group

SECONDS = 900  # that a rank may take for what takes it a second, on a machine with other things to do
# What a process would import itself otherwise, for seconds; the first step of an optimizer imports torch._dynamo.
PRELOADED = ["pytest", "torch._dynamo", "components.training.loop", "tests.systems.test_every_system"]


def forkserver() -> ForkServerContext:
    """Where processes start from that are there in a moment; there is one for all tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def start(world: int, folder: Path, function: Callable[..., None], *arguments: Any) -> list[BaseProcess]:
    """Start function(group, *arguments) in processes, the ranks of a gloo group; one alone is in none.

    Args:
        folder: where the ranks find each other.
    """
    context = forkserver()
    meeting = folder / f"ranks_{uuid.uuid4().hex}"
    ranks: list[BaseProcess] = []
    for rank in range(world):
        group = Group(rank, world)
        ranks.append(context.Process(target=_rank, args=(group, meeting, function, arguments), daemon=True))
        ranks[-1].start()
    return ranks


def end(ranks: list[BaseProcess]) -> list[int | None]:
    """Wait until they have ended by themselves; gives their exit codes, None of one that had to be killed."""
    for rank in ranks:
        rank.join(SECONDS)
    codes = [rank.exitcode for rank in ranks]
    kill(ranks)
    return codes


def kill(ranks: list[BaseProcess], chance: random.Random | None = None) -> list[int | None]:
    """SIGKILL to each, in a random order if there is a chance; gives their exit codes."""
    for rank in chance.sample(ranks, len(ranks)) if chance else ranks:
        rank.kill()
    for rank in ranks:
        rank.join(SECONDS)
    return [rank.exitcode for rank in ranks]


def together(world: int, folder: Path, function: Callable[..., None], *arguments: Any) -> None:
    """Start ranks and wait until they all have ended well."""
    assert end(start(world, folder, function, *arguments)) == [0] * world


def _rank(group: Group, meeting: Path, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    if group.world > 1:
        dist.init_process_group("gloo", f"file://{meeting}", rank=group.rank, world_size=group.world)
    function(group, *arguments)
    if group.world > 1:
        dist.destroy_process_group()
