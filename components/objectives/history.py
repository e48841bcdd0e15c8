"""History: SimGAN's buffer of refined pictures, from which half of each discriminator batch is drawn."""

import torch
from torch import Tensor

from components.networks.noise import uniforms
from components.objectives.replay_pool import ReplayPool

_DRAWN, _ENTERING, _COIN = 1, 2, 3  # what is random about a step


class History(ReplayPool):
    """A buffer of past fakes (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3).

    Until it is full, every fake goes in and is handed on as it is. Then half of a batch is handed on as it is, in
    the place of the other half stand random pictures of the buffer, and half of the batch takes the place of as
    many random ones of the buffer. The halves are drawn anew each time; where a batch is odd, a fair coin says to
    which side its middle falls, so a batch of one is from the buffer every other time.

    One over all ranks, as a ReplayPool is.
    """

    def _exchange(self, fakes: Tensor, pool: Tensor) -> Tensor:
        count, device = len(fakes), fakes.device
        filling = self._seen < self.size
        numbers = self._seen + torch.arange(count, device=device)
        (coin,) = self._chances(_COIN, 1, device)
        half = ((count + (coin < 0.5).long()) // 2).clamp(max=self.size)
        swaps = (torch.arange(min(count, self.size), device=device) < half) & ~filling
        slots, places = self._pairs(_DRAWN, count, device)
        drawn = fakes.clone()
        drawn[slots] = torch.where(swaps[:, None, None, None], pool[places], fakes[slots])
        slots, places = self._pairs(_ENTERING, count, device)
        enters = torch.cat([filling & (numbers < self.size), swaps])
        self._put(pool, torch.cat([numbers.clamp(max=self.size - 1), places]), enters, torch.cat([fakes, fakes[slots]]))
        return drawn

    def _pairs(self, what: int, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Different slots of the batch in a random order, and as many different places of the buffer."""
        chances = self._chances(what, count + self.size, device)
        least = min(count, self.size)
        return chances[:count].argsort()[:least], chances[count:].argsort()[:least]

    def _chances(self, what: int, count: int, device: torch.device) -> Tensor:
        return uniforms(self._seen[None], (count,), device, 4 * self.seed + what)[0]
