"""The stream: a batch is what its step says, whoever asks and whenever."""

import threading
from itertools import chain

import numpy as np
import pytest

from components.faults import Fault
from components.shards.loader import Stream
from components.shards.reader import Split


class Numbers:
    """Samples that show their own index."""

    def __init__(self, *sizes):
        self.sizes = np.array(sizes)
        self.prepared, self.broken = [], set()

    def prepare(self, index):
        self.prepared.append(index)
        if index in self.broken:
            raise Fault(f"sample {index} is broken")

    def read(self, index):
        if index in self.broken:
            raise Fault(f"sample {index} is broken")
        return str(index), {"number": np.array([index])}


def stream(samples, **settings):
    return Stream(samples, **({"batch_size": 4, "seed": 1} | settings))


def numbers(batches):
    return [pictures["number"].ravel().tolist() for pictures, _ in batches]


@pytest.mark.parametrize("sizes", [(5,), (3, 4, 2), (7, 1, 9, 5, 8, 6), (2,) * 40])
@pytest.mark.parametrize(("shuffle_shards", "lanes"), [(16, 128), (2, 128), (3, 5)])
def test_any_number_of_ranks_and_any_kill_give_the_same_batches(sizes, shuffle_shards, lanes):
    samples = Numbers(*sizes)
    settings = {"batch_size": 12, "shuffle_shards": shuffle_shards, "lanes": lanes}
    n = sum(sizes)
    steps = -(-3 * n // 12)
    whole = numbers(stream(samples, **settings).batches(0, steps))
    for world in (2, 3, 4, 6, 12):
        ranks = [numbers(stream(samples, rank=r, world=world, **settings).batches(0, steps)) for r in range(world)]
        assert {len(rank) for rank in ranks} == {steps}
        assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == whole
    for kill in (1, steps // 2, steps - 1):
        assert numbers(stream(samples, **settings).batches(kill, steps)) == whole[kill:]
    dealt = np.concatenate(whole)[: 3 * n].reshape(3, n)
    assert np.array_equal(np.sort(dealt, axis=1), np.tile(np.arange(n), (3, 1)))


def test_batches_made_ahead_are_the_steps_own(tiny_shards):
    split = Split(tiny_shards, "train", open_shards=2)
    settings = {"shuffle_shards": 1, "cache_bytes": 0}
    ahead = list(stream(split, threads=3, **settings).batches(2, 20))
    for step, (pictures, seeds) in zip(range(2, 20), ahead, strict=True):
        expected, expected_seeds = stream(split, **settings).batch(step)
        assert np.array_equal(pictures["photo"], expected["photo"])
        assert np.array_equal(seeds, expected_seeds)
    assert len({seed for _, seeds in ahead for seed in seeds}) == 18 * 4


def test_shards_are_fetched_before_they_are_read():
    samples = Numbers(*(50,) * 12)
    ahead = stream(samples, shuffle_shards=3)
    far = ahead.order.steps_ahead
    assert far > 10
    reading, here = ahead.batches(3, 140), threading.Event()
    samples.prepare = lambda index, plain=samples.prepare: (plain(index), len(samples.prepared) < 4 * far or here.set())
    next(reading)
    assert here.wait(10)
    expected = list(chain(*(ahead.indices(step) for step in range(3, 140))))
    assert samples.prepared[: 4 * far] == expected[: 4 * far]
    list(reading)
    assert samples.prepared == expected[: len(samples.prepared)]


def test_what_fails_ahead_is_told_by_its_own_batch():
    samples = Numbers(*(50,) * 12)
    broken = stream(samples, shuffle_shards=3)
    samples.broken = {broken.indices(7)[2]}
    reading = broken.batches(0, 20)
    for _ in range(5):
        next(reading)
    with pytest.raises(Fault, match=f"sample {broken.indices(7)[2]} is broken"):
        list(reading)


def test_decoded_samples_are_kept_up_to_a_size():
    class Counted(Numbers):
        reads = 0

        def read(self, index):
            self.reads += 1
            return super().read(index)

    for room, reads in ((8 * 20, 20), (8 * 15, 25), (0, 40)):
        samples = Counted(20)
        list(stream(samples, cache_bytes=room).batches(0, 10))
        assert samples.reads == reads


def test_what_cannot_be_dealt_is_refused(tiny_shards):
    with pytest.raises(Fault, match="batch_size 4 cannot be shared evenly by 3 workers"):
        stream(Split(tiny_shards, "train"), world=3)
    with pytest.raises(Fault, match="has no samples"):
        stream(Numbers(0, 0))
