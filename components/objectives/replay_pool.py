"""ReplayPool: fakes of earlier steps, so that a discriminator does not forget what it has seen."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from components.networks import across_ranks
from components.networks.noise import uniforms


class ReplayPool:
    """A pool of past fakes (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3; 50 in CycleGAN).

    Until it is full, every fake goes in and is handed on as it is. Then each fake is handed on with
    probability 1/2, and otherwise takes the place of a random one of the pool, which is handed on instead.

    The pool is one over all ranks, the same on each: it takes in the joined batch in the order of the ranks,
    and a rank is handed its own part, so a result does not depend on how many ranks there are. Its choices
    are a function of how many fakes it has seen, which is counted on the device: a step looks at none of it from the
    host, and can be captured as a CUDA graph.

    Args:
        size: pictures that are kept; 0 keeps none and hands every fake on.
        seed: tells two pools of one system apart.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.seed = size, seed
        self._seen = torch.zeros((), dtype=torch.int64)
        self._pictures: Tensor | None = None  # (size, C, H, W), filled up to min(seen, size)

    @torch.no_grad()
    def draw(self, fakes: Tensor) -> Tensor:
        """Take in this step's fakes, (N, C, H, W), and give as many for the discriminator, detached."""
        fakes = fakes.detach()
        if not self.size:
            return fakes
        everyone = across_ranks.gather(fakes)
        pool = self._room(fakes)
        drawn = self._exchange(everyone, pool)
        self._seen += len(everyone)
        rank = dist.get_rank() if len(everyone) > len(fakes) else 0
        mine = drawn[rank * len(fakes) : (rank + 1) * len(fakes)]
        last = fakes.is_contiguous(memory_format=torch.channels_last)
        return mine.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _exchange(self, fakes: Tensor, pool: Tensor) -> Tensor:
        """What is handed on in place of each fake of the joined batch, (N, C, H, W); changes the pool."""
        numbers = self._seen + torch.arange(len(fakes), device=fakes.device)
        coins, places = uniforms(numbers, (2,), fakes.device, self.seed).unbind(1)
        filling = numbers < self.size
        slots = torch.where(filling, numbers, (places * self.size).long())
        swaps = ~filling & (coins < 0.5)
        before = self._newest(pool, slots, filling | swaps, fakes, earlier=True)
        self._put(pool, slots, filling | swaps, fakes)
        return torch.where(swaps[:, None, None, None], before, fakes)

    def _put(self, pool: Tensor, slots: Tensor, enters: Tensor, fakes: Tensor) -> None:
        """Write into each slot, (N,), the fake that enters it; of several that enter one, the last."""
        # Equal slots are written with equal pictures, so it does not matter in which order.
        pool[slots] = self._newest(pool, slots, enters, fakes, earlier=False)

    @staticmethod
    def _newest(pool: Tensor, slots: Tensor, enters: Tensor, fakes: Tensor, earlier: bool) -> Tensor:
        """What each slot holds: the last of the fakes that enter it, else what the pool has.

        Args:
            earlier: at its own fake's turn, before which only those earlier in the batch have entered.
        """
        order = torch.arange(len(slots), device=slots.device)
        same = (slots[:, None] == slots[None, :]) & enters[None, :]
        if earlier:
            same &= order[None, :] < order[:, None]
        last = torch.where(same, order[None, :], -1).amax(dim=1)
        return torch.where((last >= 0)[:, None, None, None], fakes[last.clamp(min=0)], pool[slots])

    def state_dict(self) -> dict[str, Any]:
        """The pictures that are kept, and how many fakes were seen."""
        seen = int(self._seen)
        kept = None if self._pictures is None else self._pictures[: min(seen, self.size)].cpu().clone()
        return {"seen": seen, "pictures": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state as `state_dict` gives it."""
        self._seen, kept = torch.tensor(state["seen"]), state["pictures"]
        self._pictures = None
        if kept is not None:
            self._room(kept)[: len(kept)] = kept

    def _room(self, like: Tensor) -> Tensor:
        if self._pictures is None:
            self._pictures = torch.zeros((self.size, *like.shape[1:]), dtype=like.dtype, device=like.device)
        if self._pictures.device != like.device:
            self._pictures = self._pictures.to(like.device)
        if self._seen.device != like.device:
            self._seen = self._seen.to(like.device)
        return self._pictures
