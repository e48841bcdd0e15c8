"""The order of samples: each once an epoch, well mixed, and few shards for whoever reads a part."""

import numpy as np
import pytest

from components.shards.order import EpochOrder, windows_at_once


def shapes(count):
    """Random (sizes, batch_size, lanes, shuffle_shards), small and awkward."""
    random = np.random.default_rng(7)
    while count:
        sizes = random.integers(0, 9, random.integers(1, 12))
        if sizes.sum():
            count -= 1
            yield (sizes, *(int(random.integers(1, high)) for high in (30, 35, 14)))


def shard_of(order, samples):
    return np.searchsorted(np.cumsum(order._sizes), samples, side="right")


def test_each_epoch_shows_each_sample_once():
    for seed, (sizes, batch, lanes, window) in enumerate(shapes(300)):
        order = EpochOrder(sizes, batch, seed, window, lanes, windows=1 + seed % 4)
        n, epochs = order.count, 4
        dealt = order.indices(np.arange(epochs * n))
        assert np.array_equal(np.sort(dealt.reshape(epochs, n), axis=1), np.tile(np.arange(n), (epochs, 1)))
        again = EpochOrder(sizes, batch, seed, window, lanes, windows=1)
        few = np.random.default_rng(seed).integers(0, epochs * n, 12)
        assert np.array_equal(again.indices(few), dealt[few])
        assert [again.indices(np.array([place])).item() for place in few] == dealt[few].tolist()


def test_epochs_and_seeds_differ():
    orders = [EpochOrder(np.full(6, 20), 8, seed, window, 128) for seed in (0, 1) for window in (2, 6)]
    seen = [tuple(order.indices(np.arange(e * 120, (e + 1) * 120))) for order in orders for e in range(3)]
    assert len(set(seen)) == len(seen)


def test_one_window_is_a_shuffle_of_everything():
    # Every sample is equally likely at every position: 6 samples in 3 shards, a batch of 4, 6,000 seeds.
    counts = np.zeros((6, 6))
    for seed in range(6000):
        counts[np.arange(6), EpochOrder(np.array([1, 2, 3]), 4, seed, 3, 4).indices(np.arange(6))] += 1
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 5 / 6)
    # And neighbours in a batch, or one step apart in a slot, are of one shard as often as chance has it.
    order = EpochOrder(np.full(4, 512), 16, 0, 16, 128)
    shards = shard_of(order, order.indices(np.arange(2048))).reshape(-1, 16)
    for same in (shards[:, 1:] == shards[:, :-1], shards[1:] == shards[:-1]):
        assert abs(same.mean() - 511 / 2047) < 5 * np.sqrt(0.25 * 0.75 / same.size)


def test_windows_keep_a_batch_mixed_and_lose_it_in_a_slot():
    order = EpochOrder(np.full(200, 20), 20, 0, 4, 20)
    shards = shard_of(order, order.indices(np.arange(4000))).reshape(-1, 20)
    # 20 slots read 20 lanes, each 2.5 windows long: no two of a batch are neighbours in the order.
    assert min(len(set(row)) for row in shards) == 20
    # In a slot, 20 consecutive steps are of at most two windows.
    assert max(len(set(shards[t : t + 20, s])) for t in range(180) for s in range(20)) <= 8


@pytest.mark.parametrize(("batch", "lanes"), [(16, 16), (16, 128), (32, 16), (33, 8), (64, 8)])
def test_a_rank_reads_its_part_of_the_shards(batch, lanes):
    order = EpochOrder(np.random.default_rng(1).integers(5, 15, 400), batch, 3, 4, lanes)
    world = min(8, lanes)
    steps = order.count // batch
    for epoch in range(4):
        slots = np.array_split(np.arange(batch), world)
        for mine in slots:
            positions = np.add.outer(np.arange(epoch * steps + 1, (epoch + 1) * steps - 1) * batch, mine).ravel()
            positions = positions[positions // order.count == epoch]
            lanes_read = len(set((mine // order.group_size).tolist()))
            share = 400 * lanes_read * order.group_size / batch
            # Its lanes, and at either end of them what is left of a window.
            assert len(np.unique(shard_of(order, order.indices(positions)))) <= 1.3 * share + 2 * 4


def test_few_windows_are_in_use_at_once():
    random = np.random.default_rng(5)
    for sizes, batch, lanes, window in ((np.full(60, 30), 24, 12, 4), (random.integers(20, 40, 90), 16, 128, 3)):
        order = EpochOrder(sizes, batch, 0, window, lanes)
        assert order.steps_ahead > 5
        for world in (1, 2, 4, 8):
            share = batch // world
            for step in random.integers(0, 2 * order.count // batch, 30):
                steps = np.arange(step, step + order.steps_ahead + 1)
                positions = np.add.outer(steps * batch, np.arange(share)).ravel()
                order._window.cache_clear()
                before = order._window.cache_info().misses
                order.indices(positions)
                assert order._window.cache_info().misses - before <= windows_at_once(batch, world, lanes)
