"""History: SimGAN's buffer of refined pictures, from which half of each discriminator batch is drawn."""

import numpy as np
from torch import Tensor

from components.objectives.replay_pool import ReplayPool


class History(ReplayPool):
    """A buffer of past fakes (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3).

    Until it is full, every fake goes in and is handed on as it is. Then half of a batch is handed on as it is, in
    the place of the other half stand random pictures of the buffer, and half of the batch takes the place of as
    many random ones of the buffer. The halves are drawn anew each time; where a batch is odd, a fair coin says to
    which side its middle falls, so a batch of one is from the buffer every other time.

    One over all ranks, as a ReplayPool is.
    """

    def _exchange(self, fakes: Tensor, pool: Tensor, random: np.random.Generator) -> list[Tensor]:
        if self._seen < self.size:
            room = min(self.size - self._seen, len(fakes))
            pool[self._seen : self._seen + room] = fakes[:room]
            return list(fakes)
        half = min((len(fakes) + int(random.integers(2))) // 2, self.size)
        drawn = list(fakes)
        for slot, place in zip(*_pairs(len(fakes), self.size, half, random), strict=True):
            drawn[slot] = pool[place].clone()
        for slot, place in zip(*_pairs(len(fakes), self.size, half, random), strict=True):
            pool[place] = fakes[slot]
        return drawn


def _pairs(slots: int, places: int, count: int, random: np.random.Generator) -> tuple[list[int], list[int]]:
    """So many different slots of the batch, and as many different places of the buffer."""
    return random.permutation(slots)[:count].tolist(), random.permutation(places)[:count].tolist()
