"""A step looks at nothing from the host, so that a GPU can hold it as a CUDA graph: every system, shown on a CPU."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from components.training.feed import Feed
from components.training.group import Group
from components.training.trainer import Trainer
from tests.systems.test_every_system import SMALL, run_of, system_of

# A value that Python reads, and results whose size depends on values; a GPU would have to be waited for.
LOOKS = {"aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.unique", "aten.equal"}


class Watched(TorchDispatchMode):
    """Lists the operations that look."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).rsplit(".", 1)[0]
        if any(name.startswith(look) for look in LOOKS):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", SMALL)
def test_no_step_looks_at_a_value(tiny_shards, tmp_path, name, monkeypatch):
    run = run_of(name, tiny_shards, tmp_path)
    feed, watched = Feed(run, run.shape(), Group()), Watched()
    trainer = Trainer(system_of(run), run.train, 10, Group(), feed.prepare)
    take = trainer._take

    def watching(*arguments: Any) -> Any:
        with watched:
            return take(*arguments)

    monkeypatch.setattr(trainer, "_take", watching)
    on_host = [counts(memory) for memory in trainer.system.memories.values()]
    for index, inputs in enumerate(feed.inputs(0, 7)):  # long enough for every phase to be due
        trainer.step(index, inputs)
    assert watched.found == []
    # What changes from step to step is kept in tensors: a number of Python's would stay as it was captured.
    assert [counts(memory) for memory in trainer.system.memories.values()] == on_host


def counts(memory: Any) -> dict[str, Any]:
    """What a memory keeps that is no tensor."""
    return {name: value for name, value in vars(memory).items() if isinstance(value, int | float | str | tuple)}


def test_a_look_is_seen():
    with Watched() as watched:
        assert torch.ones(3).sum().item() == 3
    assert watched.found == ["aten._local_scalar_dense"]
