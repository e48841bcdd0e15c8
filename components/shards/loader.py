"""Stream: training batches as a pure function of the step, so a resumed run neither repeats nor skips one."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Protocol

import numpy as np

from components.faults import Fault

Sample = dict[str, np.ndarray]
Transform = Callable[[Sample, int], Sample]


class Samples(Protocol):
    """Random access to a split, as components/shards/reader.py gives it."""

    def __len__(self) -> int: ...
    def read(self, index: int) -> tuple[str, Sample]: ...


def position_seed(seed: int, position: int) -> int:
    """A 63-bit seed for all that is random about one position of the stream."""
    words = np.random.SeedSequence([seed, position]).generate_state(2, np.uint32)
    return int(words[0]) << 31 | int(words[1]) >> 1


class Stream:
    """Shuffled passes over a split, cut into global batches and dealt to the ranks.

    Position p of the stream is entry p mod n of the permutation of epoch p div n. Step t takes positions
    t * batch_size onwards; rank r of w takes the r-th w-th of them. Nothing but (seed, step) decides a
    batch: not the number of ranks, not when the run was killed. An epoch shows each sample once, and a
    batch may span two epochs, so ranks always take equal steps.

    Args:
        samples: the split.
        transform: jitter of a sample, decided by the seed it is handed.
        batch_size: over all ranks; a multiple of `world`.
        cache_bytes: decoded samples kept in memory up to this size.
        threads: make batches ahead of the step that needs them; decoding frees the interpreter's lock.
        prefetch: batches ahead for each thread.
    """

    def __init__(
        self,
        samples: Samples,
        transform: Transform,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        cache_bytes: int = 1 << 30,
        threads: int = 1,
        prefetch: int = 2,
    ) -> None:
        if not len(samples):
            raise Fault("the training split has no samples; see shard.cut and the split it makes")
        if batch_size % world:
            raise Fault(f"train.batch_size {batch_size} cannot be dealt to {world} workers evenly")
        self.samples, self.transform, self.batch_size, self.seed = samples, transform, batch_size, seed
        self.rank, self.world, self.threads, self.prefetch = rank, world, threads, prefetch
        self._cache = _Cache(samples, cache_bytes)
        self._orders: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def positions(self, step: int) -> range:
        """The positions of this rank at a step (steps count from 0)."""
        share = self.batch_size // self.world
        start = step * self.batch_size + self.rank * share
        return range(start, start + share)

    def index(self, position: int) -> int:
        """Which sample of the split stands at a position."""
        epoch, place = divmod(position, len(self.samples))
        with self._lock:
            if epoch not in self._orders:
                rng = np.random.default_rng([self.seed, epoch])
                self._orders[epoch] = rng.permutation(len(self.samples))
                if len(self._orders) > 3:
                    self._orders.popitem(last=False)
            return int(self._orders[epoch][place])

    def batch(self, step: int) -> tuple[Sample, np.ndarray]:
        """This rank's part of a step: stacked uint8 pictures by domain, and the int64 seed of each sample."""
        seeds = [position_seed(self.seed, position) for position in self.positions(step)]
        samples = [
            self.transform(self._cache.read(self.index(position)), seed)
            for position, seed in zip(self.positions(step), seeds, strict=True)
        ]
        stacked = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
        return stacked, np.asarray(seeds, dtype=np.int64)

    def batches(self, first: int, last: int) -> Iterator[tuple[Sample, np.ndarray]]:
        """The batches of steps first to last - 1, made ahead in threads, in order."""
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="batches")
        ahead: deque[Future[tuple[Sample, np.ndarray]]] = deque()
        try:
            steps = iter(range(first, last))
            for step in steps:
                ahead.append(pool.submit(self.batch, step))
                if len(ahead) > self.prefetch * self.threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


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
