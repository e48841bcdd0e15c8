"""EpochOrder: which sample is at which position of the stream, without keeping the whole order in memory."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


_AHEAD = 64


class _Epoch(NamedTuple):
    """The shards of an epoch in their order, and where in it each window begins; the last bound is the end."""

    shards: Integers
    bounds: Integers


class EpochOrder:
    """Shuffled passes over samples that lie in shards, in which neighbouring slots read neighbouring shards.

    An epoch's order: the shards are permuted and cut into windows of `shuffle_shards`, the samples of a window
    are permuted, and the windows follow each other. It is a function of (seed, epoch); to look into it takes
    the permutation of the shards and of one window.

    Position p of the stream is slot p mod batch_size of step p div batch_size, and belongs to epoch p div n.
    The slots form at most `lanes` groups of equally many neighbours, and each group reads a stretch of the
    epoch's order, its lane, from beginning to end. So the samples of a batch come from all over the split, but a rank,
    which has neighbouring slots, reads few shards, one window after the other.

    Args:
        sizes: samples of each shard, in the order of the split.
        batch_size: slots of the global batch.
        seed: of all epochs.
        shuffle_shards: shards in a window; as many as there are, or more: one shuffle of everything.
        lanes: groups of slots, at most.
        windows: how many windows are remembered (8 bytes a sample).

    Attributes:
        count: n, the samples of an epoch.
        group_size: slots that share a lane (the last group may be smaller).
        num_windows: windows of an epoch.
        steps_ahead: how far ahead of its use a shard may be fetched, in steps.
    """

    def __init__(
        self, sizes: Integers, batch_size: int, seed: int, shuffle_shards: int, lanes: int, windows: int = 16
    ) -> None:
        self.count = int(sizes.sum())
        self.batch_size, self.seed, self.shuffle_shards = batch_size, seed, shuffle_shards
        self.group_size = -(-batch_size // lanes)
        self.num_windows = -(-len(sizes) // shuffle_shards)
        # Far enough to hide the fetching of shards; not so far that more windows are in use than it takes.
        window, epoch = self.count // self.num_windows // self.group_size, self.count // batch_size
        self.steps_ahead = min(_AHEAD, window // 2, epoch // 2) if self.num_windows > 1 else 0
        self._sizes, self._firsts = sizes, np.cumsum(sizes) - sizes
        self._epoch = lru_cache(3)(self._order_epoch)
        self._window = lru_cache(windows)(self._order_window)

    def indices(self, positions: Integers) -> Integers:
        """The sample of the split at each position, (n,) int64."""
        found = np.empty(len(positions), np.int64)
        for epoch, here in _by_value(positions // self.count):
            entries = self._entries(epoch, positions[here])
            bounds = self._epoch(epoch).bounds
            for window, mine in _by_value(np.searchsorted(bounds, entries, side="right") - 1):
                found[here[mine]] = self._window(epoch, window)[entries[mine] - bounds[window]]
        return found

    def _entries(self, epoch: int, positions: Integers) -> Integers:
        """Where in the order of their epoch positions stand: each group counts through its own lane."""
        step, slot = np.divmod(positions, self.batch_size)
        first_step, first_slot = divmod(epoch * self.count, self.batch_size)
        whole, rest = divmod(self.count, self.batch_size)
        group = slot - slot % self.group_size  # its first slot
        size = np.minimum(self.group_size, self.batch_size - group)
        # Each slot has `whole` positions in the epoch; the `rest` slots from first_slot on, around, have one more.
        around = max(0, first_slot + rest - self.batch_size)
        more = np.minimum(np.maximum(group - first_slot, 0), rest) + np.minimum(group, around)
        # In slots before first_slot the epoch begins a step later.
        late = np.minimum(np.maximum(first_slot - group, 0), size)
        entries: Integers = group * whole + more + (step - first_step) * size + slot - group - late
        return entries

    def _order_epoch(self, epoch: int) -> _Epoch:
        shards = np.random.default_rng([self.seed, epoch, 0, 1]).permutation(len(self._sizes))
        ends = np.cumsum(self._sizes[shards])
        last_of_windows = np.append(ends[self.shuffle_shards - 1 : -1 : self.shuffle_shards], ends[-1])
        return _Epoch(shards, np.concatenate([[0], last_of_windows]))

    def _order_window(self, epoch: int, window: int) -> Integers:
        first = window * self.shuffle_shards
        shards = self._epoch(epoch).shards[first : first + self.shuffle_shards]
        samples = np.concatenate([np.arange(self._sizes[shard]) + self._firsts[shard] for shard in shards])
        return np.random.default_rng([self.seed, epoch, window, 2]).permutation(samples)


def windows_at_once(batch_size: int, world: int, lanes: int) -> int:
    """How many windows a rank uses at a time.

    Of each lane that it has a part in: the present one and the next; where an epoch ends, one more.
    """
    group = -(-batch_size // lanes)
    share = batch_size // world
    return 3 * min(-(-batch_size // group), (share + group - 2) // group + 1)


def _by_value(values: Integers) -> Iterator[tuple[int, Integers]]:
    """Each value that occurs, with its places."""
    if (values == values[0]).all():  # most batches: worth a short cut
        yield int(values[0]), np.arange(len(values))
        return
    order = np.argsort(values, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(values[order])) + 1):
        yield int(values[places[0]]), places
