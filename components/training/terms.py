"""TermLog: the terms of the steps since it was last read, kept on the device and looked at all together."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from components.systems.system import Terms
from components.training.group import Group

GRADIENT = "gradient"  # what a phase's gradients count as, beside its terms
_NEVER = 2**62


@dataclass(frozen=True)
class NotFinite:
    """The first step (from 0) at which something was not finite, what, and the ranks whose own terms were."""

    step: int
    name: str
    ranks: tuple[int, ...]


class TermLog:
    """Means and faults of the terms, without a sync between the reads."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._names: dict[str, tuple[str, ...]] = {}
        self._rows: dict[str, list[Tensor]] = {}
        self._steps: dict[str, list[int]] = {}

    def add(self, step: int, phase: str, terms: Terms, gradients: list[Tensor]) -> None:
        """The terms of one phase of a step, and the gradients that came of them (already over all ranks)."""
        self._names.setdefault(phase, tuple(f"{phase}.{name}" for name in terms))
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) if gradients else torch.zeros(())
        values = [*(term.detach() for term in terms.values()), norm.to(next(iter(terms.values())).device)]
        self._rows.setdefault(phase, []).append(torch.stack(values))
        self._steps.setdefault(phase, []).append(step)

    def read(self, keep: bool = False) -> tuple[dict[str, float], NotFinite | None]:
        """The mean of each term over all ranks and steps since the last read, and what was not finite first.

        Every rank calls this at the same step, and every rank is told the same.

        Args:
            keep: this is no read that the next one begins after; it takes in the same steps again.
        """
        if not self._rows:
            return {}, None
        rows = {phase: torch.stack(values) for phase, values in self._rows.items()}
        means = self._group.mean(torch.cat([values.mean(0) for values in rows.values()])).tolist()
        names = [name for phase in rows for name in (*self._names[phase], f"{phase}.{GRADIENT}")]
        figures = dict(zip(names, means, strict=True))
        # A mean over the ranks is not finite where any part of it is not, so all ranks go the same way here.
        fault = None if torch.tensor(means).isfinite().all() else self._first(rows)
        if not keep:
            self._rows, self._steps = {}, {}
        return {name: value for name, value in figures.items() if not name.endswith(f".{GRADIENT}")}, fault

    def rows(self) -> list[Tensor]:
        """What this rank has added since the last read, to be averaged over the ranks in place."""
        return [row for rows in self._rows.values() for row in rows]

    def state_dict(self) -> dict[str, Any]:
        """What was added since the last read, by phase."""
        return {
            phase: {"names": list(self._names[phase]), "rows": torch.stack(rows), "steps": self._steps[phase]}
            for phase, rows in self._rows.items()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state, as if there had been no stop."""
        for phase, kept in state.items():
            self._names[phase] = tuple(kept["names"])
            self._rows[phase] = list(kept["rows"].to(self._group.device))
            self._steps[phase] = list(kept["steps"])

    def _first(self, rows: dict[str, Tensor]) -> NotFinite | None:
        """The first of all ranks; a rank whose terms were finite then has only caught it from the gradients."""
        places = [(step, phase) for phase in rows for step in self._steps[phase]]
        flags = [row for values in rows.values() for row in values.isfinite().tolist()]
        order = list(rows)
        mine, own, what = _NEVER, _NEVER, 0
        for (step, phase), (*terms, gradient) in zip(places, flags, strict=True):
            place = step * len(order) + order.index(phase)
            if not all(terms):
                own = min(own, place)
            if not (all(terms) and gradient) and place < mine:
                mine, what = place, [*terms, gradient].index(False)
        everyone = self._gathered([mine, own, what])
        first = min(place for place, _, _ in everyone)
        if first == _NEVER:
            return None  # finite terms whose sum is not
        step, phase_index = divmod(first, len(order))
        sick = tuple(rank for rank, (_, theirs, _) in enumerate(everyone) if theirs == first)
        names = (*self._names[order[phase_index]], f"{order[phase_index]}.{GRADIENT}")
        return NotFinite(step, names[everyone[(sick or (0,))[0]][2]], sick or tuple(range(len(everyone))))

    def _gathered(self, values: list[int]) -> list[list[int]]:
        """The same of every rank, in their order."""
        if self._group.world == 1:
            return [values]
        mine = torch.tensor(values, dtype=torch.int64, device=self._group.device)
        parts = [torch.empty_like(mine) for _ in range(self._group.world)]
        dist.all_gather(parts, mine)
        return [part.tolist() for part in parts]
