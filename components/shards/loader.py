"""Stream: training batches as a function of the step alone, so a resumed run neither repeats nor skips one."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.faults import Fault
from components.shards.order import EpochOrder, windows_at_once

Sample = dict[str, np.ndarray]
_BLOCK = 64  # steps whose samples are looked up together, since a look-up of few costs as much as one of many
Stack = Callable[[list[np.ndarray]], np.ndarray]


class Samples(Protocol):
    """Random access to a split, as components/shards/reader.py gives it."""

    @property
    def sizes(self) -> NDArray[np.int64]: ...  # samples of each shard, in order
    def prepare(self, index: int) -> None: ...  # bring its shard here
    def read(self, index: int) -> tuple[str, Sample]: ...


def position_seeds(seed: int, positions: range) -> NDArray[np.int64]:
    """63-bit seeds for everything random at positions of a stream, (N,): each a function of (seed, position)."""
    places: NDArray[np.uint64] = np.arange(positions.start, positions.stop).astype(np.uint64)
    return (_mixed(places + np.random.SeedSequence(seed).generate_state(1, np.uint64)) >> np.uint64(1)).astype(np.int64)


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195), in integers that wrap around."""
    bits = bits * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return bits ^ bits >> np.uint64(31)


class Stream:
    """Shuffled passes over a split, cut into global batches, of which each rank gets its part.

    Step t takes the positions from t * batch_size on, slot by slot; rank r of w takes the r-th w-th of the slots.
    Which sample stands at a position, components/shards/order.py says. Nothing but (seed, step) decides a
    batch: not the number of ranks, not when the run was killed. An epoch shows each sample once, and a
    batch may span two epochs, so ranks always take equal steps.

    Args:
        samples: the split.
        batch_size: over all ranks; a multiple of `world`.
        cache_bytes: decoded samples kept in memory up to this size.
        threads: make batches ahead of the step that needs them; decoding frees the interpreter's lock.
        prefetch: batches ahead for each thread.
        shuffle_shards, lanes: see EpochOrder.
        stack: makes one array of a batch's pictures; called by the threads.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        cache_bytes: int = 1 << 30,
        threads: int = 1,
        prefetch: int = 2,
        shuffle_shards: int = 16,
        lanes: int = 128,
        stack: Stack = np.stack,
    ) -> None:
        if not samples.sizes.sum():
            raise Fault("the training split has no samples; check shard.cut and the splits that it makes")
        if batch_size % world:
            raise Fault(f"train.batch_size {batch_size} cannot be shared evenly by {world} workers")
        self.samples, self.batch_size, self.seed, self.stack = samples, batch_size, seed, stack
        self.rank, self.world, self.threads, self.prefetch = rank, world, threads, prefetch
        windows = windows_at_once(batch_size, world, lanes)
        self.order = EpochOrder(samples.sizes, batch_size, seed, shuffle_shards, lanes, windows)
        self._block = lru_cache(4)(self._indices_of_block)
        self._cache = _Cache(samples, cache_bytes)

    def positions(self, step: int) -> range:
        """The positions of this rank at a step (steps count from 0)."""
        share = self.batch_size // self.world
        start = step * self.batch_size + self.rank * share
        return range(start, start + share)

    def indices(self, step: int) -> list[int]:
        """The samples of this rank at a step, in the order of its positions."""
        block, row = divmod(step, _BLOCK)
        mine: list[int] = self._block(block)[row].tolist()
        return mine

    def names(self, step: int) -> list[str]:
        """The keys of this rank's samples at a step: for messages, since each is read for it."""
        return [self.samples.read(index)[0] for index in self.indices(step)]

    def _indices_of_block(self, block: int) -> NDArray[np.int64]:
        starts = [self.positions(step).start for step in range(block * _BLOCK, (block + 1) * _BLOCK)]
        positions = np.add.outer(starts, np.arange(self.batch_size // self.world))
        return self.order.indices(positions.ravel()).reshape(positions.shape)

    def seeds(self, step: int) -> NDArray[np.int64]:
        """The seed of each of this rank's samples at a step, in the order of its positions."""
        return position_seeds(self.seed, self.positions(step))

    def batch(self, step: int) -> tuple[Sample, NDArray[np.int64]]:
        """This rank's part of a step: stacked uint8 pictures by domain, as they lie in the shards, and their seeds."""
        samples = [self._cache.read(index) for index in self.indices(step)]
        return {name: self.stack([sample[name] for sample in samples]) for name in samples[0]}, self.seeds(step)

    def batches(self, first: int, last: int) -> Iterator[tuple[Sample, NDArray[np.int64]]]:
        """The batches of steps first to last - 1, made ahead in threads, in order.

        If there is more than one window, another thread fetches shards further ahead.
        """
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="batches")
        fetcher = ThreadPoolExecutor(1, thread_name_prefix="shards")
        ahead: deque[Future[tuple[Sample, NDArray[np.int64]]]] = deque()
        far = self.order.steps_ahead
        try:
            for step in range(first, min(first + far, last)):
                fetcher.submit(self._fetch, step)
            for step in range(first, last):
                if far and step + far < last:
                    fetcher.submit(self._fetch, step + far)
                ahead.append(pool.submit(self.batch, step))
                if len(ahead) > self.prefetch * self.threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            fetcher.shutdown(wait=True, cancel_futures=True)
            pool.shutdown(wait=True, cancel_futures=True)

    def _fetch(self, step: int) -> None:
        """Fetch the shards of a step; an error is ignored here, since making the batch meets and reports it."""
        with suppress(Fault):
            for index in self.indices(step):
                self.samples.prepare(index)


class _Cache:
    """Decoded samples, first come first kept, up to a number of bytes."""

    def __init__(self, samples: Samples, limit: int) -> None:
        self._samples, self._room = samples, limit
        self._kept: dict[int, Sample] = {}

    def read(self, index: int) -> Sample:
        if index in self._kept:
            return self._kept[index]
        _, sample = self._samples.read(index)
        self._room -= sum(picture.nbytes for picture in sample.values())
        if self._room >= 0:
            self._kept[index] = sample
        return sample
