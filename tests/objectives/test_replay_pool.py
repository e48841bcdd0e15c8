"""Memories of past fakes, against what their papers say of them."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from components.objectives.history import History
from components.objectives.replay_pool import ReplayPool

KINDS = (ReplayPool, History)


def fakes(first: int, count: int) -> Tensor:
    """Pictures that know their number: first, first + 1, ..."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 2, 2).contiguous()


def numbers(pictures: Tensor) -> list[int]:
    return pictures[:, 0, 0, 0].int().tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_until_it_is_full_everything_goes_in_and_on(kind):
    memory = kind(6)
    for first in (0, 2, 4):
        assert numbers(memory.draw(fakes(first, 2))) == [first, first + 1]
    assert numbers(memory.state_dict()["pictures"]) == list(range(6))


@pytest.mark.parametrize("kind", KINDS)
def test_of_size_0_it_hands_everything_on(kind):
    memory = kind(0)
    for first in range(0, 20, 4):
        assert numbers(memory.draw(fakes(first, 4))) == list(range(first, first + 4))
    assert memory.state_dict()["pictures"] is None


def test_half_of_what_meets_a_full_pool_is_swapped():
    pool = ReplayPool(50)
    pool.draw(fakes(0, 50))
    held, old = set(range(50)), 0
    for first in range(50, 4050):
        (drawn,) = numbers(pool.draw(fakes(first, 1)))
        if drawn == first:
            continue
        old += 1
        assert drawn in held  # what is handed on is what it gives up
        held = held - {drawn} | {first}
        assert set(numbers(pool.state_dict()["pictures"])) == held
    assert abs(old / 4000 - 0.5) < 0.04  # five standard deviations


def test_a_batch_is_exchanged_as_its_fakes_one_after_another_would_be():
    """A place that two fakes of a batch meet gives the second what the first has left there."""
    one, many = ReplayPool(5, seed=3), ReplayPool(5, seed=3)
    for first in range(0, 400, 8):
        alone = [number for i in range(8) for number in numbers(one.draw(fakes(first + i, 1)))]
        assert numbers(many.draw(fakes(first, 8))) == alone
        assert torch.equal(one.state_dict()["pictures"], many.state_dict()["pictures"])


@pytest.mark.parametrize(("batch", "olds"), [(8, {4}), (5, {2, 3}), (1, {0, 1})])
def test_half_of_each_batch_is_from_the_history(batch, olds):
    history = History(50)
    history.draw(fakes(0, 50))
    seen, total, steps = set(), 0, 400
    for step in range(steps):
        first = 50 + step * batch
        held = set(numbers(history.state_dict()["pictures"]))
        drawn = numbers(history.draw(fakes(first, batch)))
        old = [number for number in drawn if number < first]
        assert set(old) <= held
        assert len(set(drawn)) == batch  # no picture twice
        assert [n for n in drawn if n >= first] == [n for n in range(first, first + batch) if n in drawn]
        after = set(numbers(history.state_dict()["pictures"]))
        assert len(after - held) in olds
        assert after - held <= set(range(first, first + batch))
        seen.add(len(old))
        total += len(old)
    assert seen == olds
    assert abs(total / (steps * batch) - 0.5) < 0.13


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_handed_on_learns_nothing(kind):
    memory = kind(2)
    for _ in range(3):
        assert not memory.draw(fakes(0, 4).requires_grad_()).requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_memory_goes_on_as_the_first_would_have(kind):
    one, two = kind(3, seed=7), kind(3, seed=7)
    for first in range(0, 12, 2):
        one.draw(fakes(first, 2))
    two.load_state_dict(one.state_dict())
    other = kind(3, seed=8)
    other.load_state_dict(one.state_dict())
    drawn = [[numbers(m.draw(fakes(first, 2))) for first in range(12, 60, 2)] for m in (one, two, other)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_state_does_not_change_with_the_memory(kind):
    memory = kind(2)
    memory.draw(fakes(0, 2))
    state = memory.state_dict()
    for first in range(2, 20, 2):
        memory.draw(fakes(first, 2))
    assert numbers(state["pictures"]) == [0, 1]


def test_two_ranks_see_one_memory(tmp_path):
    """Each rank's part of what is handed on is that of one process, whatever the memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(rank_main, (2, port, tmp_path), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for kind in KINDS:
        memory = kind(5)
        for step in range(10):
            drawn = memory.draw(fakes(4 * step, 4))
            both = torch.cat([rank[kind.__name__]["drawn"][step] for rank in ranks])
            assert numbers(both) == numbers(drawn)
        for rank in ranks:
            assert torch.equal(rank[kind.__name__]["state"]["pictures"], memory.state_dict()["pictures"])
            assert rank[kind.__name__]["state"]["seen"] == 40


def rank_main(rank: int, world: int, port: int, folder: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    found = {}
    for kind in KINDS:
        memory = kind(5)
        drawn = [memory.draw(fakes(4 * step + 2 * rank, 2)) for step in range(10)]
        found[kind.__name__] = {"drawn": drawn, "state": memory.state_dict()}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()
