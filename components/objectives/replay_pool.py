"""ReplayPool: fakes of earlier steps, so that a discriminator does not forget what it has seen."""

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from components.networks import across_ranks


class ReplayPool:
    """A pool of past fakes (Shrivastava et al. 2017, arXiv:1612.07828, section 2.3; 50 in CycleGAN).

    Until it is full, every fake goes in and is handed on as it is. Then each fake is handed on with
    probability 1/2, and otherwise takes the place of a random one of the pool, which is handed on instead.

    The pool is one over all ranks, the same on each: it takes in the joined batch in the order of the ranks,
    and a rank is handed its own part, so a result does not depend on how many ranks there are. Its choices
    are a function of how many fakes it has seen.

    Args:
        size: pictures that are kept; 0 keeps none and hands every fake on.
        seed: tells two pools of one system apart.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.seed = size, seed
        self._seen = 0
        self._pictures: Tensor | None = None  # (size, C, H, W), filled up to min(seen, size)

    @torch.no_grad()
    def draw(self, fakes: Tensor) -> Tensor:
        """Take in this step's fakes, (N, C, H, W), and give as many for the discriminator, detached."""
        fakes = fakes.detach()
        if not self.size:
            return fakes
        everyone = across_ranks.gather(fakes)
        pool = self._room(fakes)
        drawn = self._exchange(everyone, pool, np.random.default_rng([self.seed, self._seen]))
        self._seen += len(everyone)
        rank = dist.get_rank() if len(everyone) > len(fakes) else 0
        mine = torch.stack(drawn[rank * len(fakes) : (rank + 1) * len(fakes)])
        return mine.contiguous(memory_format=torch.channels_last)

    def _exchange(self, fakes: Tensor, pool: Tensor, random: np.random.Generator) -> list[Tensor]:
        """What is handed on in place of each fake of the joined batch; changes the pool."""
        coins, places = random.random(len(fakes)), random.integers(self.size, size=len(fakes))
        drawn = []
        for seen, (fake, coin, place) in enumerate(
            zip(fakes, coins.tolist(), places.tolist(), strict=True), start=self._seen
        ):
            if seen < self.size:
                pool[seen] = fake
                drawn.append(fake)
            elif coin < 0.5:
                drawn.append(pool[place].clone())
                pool[place] = fake
            else:
                drawn.append(fake)
        return drawn

    def state_dict(self) -> dict[str, Any]:
        """The pictures that are kept, and how many fakes were seen."""
        kept = None if self._pictures is None else self._pictures[: min(self._seen, self.size)].cpu().clone()
        return {"seen": self._seen, "pictures": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state as `state_dict` gives it."""
        self._seen, kept = state["seen"], state["pictures"]
        self._pictures = None
        if kept is not None:
            self._room(kept)[: len(kept)] = kept

    def _room(self, like: Tensor) -> Tensor:
        if self._pictures is None:
            self._pictures = torch.empty((self.size, *like.shape[1:]), dtype=like.dtype, device=like.device)
        self._pictures = self._pictures.to(like.device)
        return self._pictures
