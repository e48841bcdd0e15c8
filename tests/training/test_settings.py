"""Settings of the place a run is trained at: they change how fast, not what."""

import numpy as np
import pytest
import torch

from components.faults import Fault
from components.shards.loader import Stream
from components.shards.reader import Split
from components.training import feed
from components.training.config import TrainConfig
from components.training.feed import Feed
from components.training.group import Group
from components.training.loop import fit
from tests.training.helpers import small_run, weights_of

PLACES = {
    "num_workers": 4,
    "device": "cpu",
    "placement": "STRICT_SPREAD",
    "cpus_per_worker": 3,
    "workers_per_gpu": 2,
    "backend": "gloo",
    "pin_memory": False,
    "prefetch": 7,
    "loader_threads": 2,
    "timeout_s": 5,
    "max_failures": 9,
    "cache": "host",
    "graphs": "off",
}


def test_where_a_run_takes_place_does_not_change_its_key(tiny_shards, tmp_path):
    assert TrainConfig(steps=8, **PLACES).decisive() == TrainConfig(steps=8).decisive()
    assert small_run(tiny_shards, tmp_path, **PLACES).key == small_run(tiny_shards, tmp_path).key


def test_batches_are_made_so_many_ahead_and_are_the_same(tiny_shards):
    split = Split(tiny_shards, "train")

    def taken(threads: int, prefetch: int) -> tuple[list[np.ndarray], int]:
        """The seeds of eight batches, and how many batches are begun when the first is handed out."""
        begun: set[int] = set()

        class Watched(Stream):
            def batch(self, step):
                begun.add(step)
                return super().batch(step)

        stream = Watched(split, 4, 0, threads=threads, prefetch=prefetch)
        batches = stream.batches(0, 8)
        seeds = [next(batches)[1]]
        most = len(begun)
        return seeds + [seeds for _, seeds in batches], most

    (few, few_begun), (many, many_begun) = taken(1, 1), taken(2, 3)
    assert few_begun <= 2
    assert many_begun <= 7
    assert all(np.array_equal(a, b) for a, b in zip(few, many, strict=True))


def test_a_feed_on_the_device_gives_the_batches_of_the_loader(tiny_shards, tmp_path, monkeypatch):
    """Pictures that lie on the device are those that the threads bring, step by step, jitter included."""
    run = small_run(tiny_shards, tmp_path, augment={"vertical_flip": True, "resize": 40}, batch_size=6)
    brought = Feed(run, run.shape(), Group())
    monkeypatch.setattr(feed, "_lies_on_device", lambda *_: True)
    resident = Feed(run, run.shape(), Group())
    assert all("source" not in inputs for inputs in resident.inputs(0, 1))
    for here, there in zip(brought.inputs(3, 9), resident.inputs(3, 9), strict=True):
        one, two = brought.prepare(here), resident.prepare(there)
        assert one.keys() == two.keys() == {"source", "target", "seeds"}
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_cache_on_a_gpu_that_is_not_there_is_refused(tiny_shards, tmp_path):
    with pytest.raises(Fault, match=r"train\.cache: device"):
        fit(small_run(tiny_shards, tmp_path, cache="device"), Group())


def test_bfloat16_trains_other_weights_that_are_still_float32(tiny_shards, tmp_path):
    runs = [small_run(tiny_shards, tmp_path, steps=2, checkpoint_every=2, precision=p) for p in ("float32", "bfloat16")]
    for run in runs:
        fit(run, Group())
    full, half = (weights_of(run) for run in runs)
    assert all(value.dtype == full[key].dtype for key, value in half.items())
    assert any(not torch.equal(full[key], half[key]) for key in full)
    assert all(torch.allclose(full[key], half[key], atol=0.02) for key in full if full[key].is_floating_point())


def test_a_step_is_a_sign_of_life(tiny_shards, tmp_path):
    group = Group()
    born = group.heartbeat.at
    assert group.heartbeat.step is None
    fit(small_run(tiny_shards, tmp_path, steps=3), group)
    assert group.heartbeat.step == 2
    assert group.heartbeat.at > born


def test_two_ranks_on_one_gpu_cannot_ask_for_nccl():
    with pytest.raises(ValueError, match="nccl refuses two ranks on one GPU"):
        TrainConfig(steps=1, backend="nccl", workers_per_gpu=2)


def test_graphs_where_there_can_be_none_are_refused(tiny_shards, tmp_path):
    with pytest.raises(Fault, match=r"train\.graphs: on .*no GPU"):
        fit(small_run(tiny_shards, tmp_path, graphs="on"), Group())
