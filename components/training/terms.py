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


Kind = tuple[str, tuple[str, ...]]  # a phase and the names of its terms, which may change in the course of a run


def row_of(terms: Terms, gradients: list[Tensor]) -> Tensor:
    """The values of a phase's terms, and the norm of the gradients that came of them (over all ranks): (n + 1,)."""
    values = [term.detach() for term in terms.values()]
    norm = values[0].new_zeros(())
    if gradients:
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))).to(norm.device)
    return torch.stack([*values, norm])


class TermLog:
    """Means and faults of the terms, without a sync between the reads."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._rows: dict[Kind, list[Tensor]] = {}  # of each step, its terms and the norm of its gradients
        self._steps: dict[Kind, list[int]] = {}

    def add(self, step: int, phase: str, names: tuple[str, ...], row: Tensor) -> None:
        """What `row_of` gives of one phase of a step."""
        kind = phase, names
        self._rows.setdefault(kind, []).append(row)
        self._steps.setdefault(kind, []).append(step)

    def read(self, keep: bool = False) -> tuple[dict[str, float], NotFinite | None]:
        """The mean of each term over all ranks and its steps since the last read, and what was not finite first.

        Every rank calls this at the same step, and every rank is told the same.

        Args:
            keep: this is no read that the next one begins after; it takes in the same steps again.
        """
        if not self._rows:
            return {}, None
        rows = {kind: torch.stack(values) for kind, values in self._rows.items()}
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for (phase, names), values in rows.items():
            for name, total in zip((*names, GRADIENT), values.sum(0), strict=True):
                key = f"{phase}.{name}"
                sums[key] = sums[key] + total if key in sums else total
                counts[key] = counts.get(key, 0) + len(values)
        means = self._group.mean(torch.stack([total / counts[key] for key, total in sums.items()])).tolist()
        # A mean over the ranks is not finite where any part of it is not, so all ranks go the same way here.
        fault = None if torch.tensor(means).isfinite().all() else self._first(rows)
        if not keep:
            self._rows, self._steps = {}, {}
        return {k: v for k, v in zip(sums, means, strict=True) if not k.endswith(f".{GRADIENT}")}, fault

    def rows(self) -> list[Tensor]:
        """What this rank has added since the last read, to be averaged over the ranks in place."""
        return [row for rows in self._rows.values() for row in rows]

    def state_dict(self) -> dict[str, Any]:
        """What was added since the last read."""
        return {
            "rows": [
                {"phase": phase, "names": list(names), "rows": torch.stack(rows), "steps": self._steps[phase, names]}
                for (phase, names), rows in self._rows.items()
            ]
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state, as if there had been no stop."""
        for kept in state["rows"]:
            kind = kept["phase"], tuple(kept["names"])
            self._rows[kind] = list(kept["rows"].to(self._group.device))
            self._steps[kind] = list(kept["steps"])

    def _first(self, rows: dict[Kind, Tensor]) -> NotFinite | None:
        """The first of all ranks; a rank whose terms were finite then has only caught it from the gradients."""
        places = [(step, kind) for kind in rows for step in self._steps[kind]]
        flags = [row for values in rows.values() for row in values.isfinite().tolist()]
        order = list(rows)
        mine, own, what = _NEVER, _NEVER, 0
        for (step, kind), (*terms, gradient) in zip(places, flags, strict=True):
            place = step * len(order) + order.index(kind)
            if not all(terms):
                own = min(own, place)
            if not (all(terms) and gradient) and place < mine:
                mine, what = place, [*terms, gradient].index(False)
        everyone = self._gathered([mine, own, what])
        first = min(place for place, _, _ in everyone)
        if first == _NEVER:
            return None  # finite terms whose sum is not
        step, index = divmod(first, len(order))
        sick = tuple(rank for rank, (_, theirs, _) in enumerate(everyone) if theirs == first)
        phase, names = order[index]
        name = (*names, GRADIENT)[everyone[(sick or (0,))[0]][2]]
        return NotFinite(step, f"{phase}.{name}", sick or tuple(range(len(everyone))))

    def _gathered(self, values: list[int]) -> list[list[int]]:
        """The same of every rank, in their order."""
        if self._group.world == 1:
            return [values]
        mine = torch.tensor(values, dtype=torch.int64, device=self._group.device)
        parts = [torch.empty_like(mine) for _ in range(self._group.world)]
        dist.all_gather(parts, mine)
        return [part.tolist() for part in parts]
