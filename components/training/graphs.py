"""Graphs: a step captured once as a CUDA graph and replayed from then on."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from components.faults import Fault
from components.systems.system import Moment

Inputs = Mapping[str, Tensor]
# What a step leaves for the log: of each phase, the names of its terms and a row of their values.
Rows = dict[str, tuple[tuple[str, ...], Tensor]]
Body = Callable[[dict[str, Tensor], Moment], Rows]


class _Watched(Moment):
    """A moment that knows whether anybody has looked at it."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("step", "steps", "images"):
            object.__setattr__(self, "looked", True)
        return super().__getattribute__(name)


@dataclass
class _Captured:
    graph: torch.cuda.CUDAGraph
    inputs: dict[str, Tensor]
    names: dict[str, tuple[str, ...]]
    values: Tensor  # of all phases, one row after another


class Graphs:
    """Steps of one kind, captured at their second occurrence.

    The first step of a kind runs eagerly and counts like any other: optimizers, pools and libraries make what they make
    once. The second is captured, which computes nothing, and replayed; so is every later one, with its inputs copied
    into the places that were captured. All that changes from step to step must be in the inputs, in tensors that are
    written in place before the replay, or in the random state of the device. A phase whose terms look at the moment
    changes otherwise, so its steps stay eager; so do those that cannot be captured at all. `why` says it. Terms
    may look at the moment's stage, which is part of the kind.

    Args:
        required: raise a Fault where steps would have to stay eager.

    Attributes:
        why: why steps run eagerly, which is also printed; empty where they do not.
    """

    def __init__(self, device: torch.device, required: bool = False) -> None:
        self.why = ""
        self._required = required
        self._stream = torch.cuda.Stream(device)
        self._seen: set[Any] = set()
        self._captured: dict[Any, _Captured] = {}

    def run(self, kind: object, inputs: Inputs, moment: Moment, body: Body) -> Rows:
        """Take a step.

        Args:
            kind: tells steps apart that differ in what they do, such as by the phases that are due.
            inputs: of this step, on the host or the device, of the shapes of all steps.
            body: the step; given the inputs on the device.
        """
        shapes = tuple((name, tuple(value.shape), value.dtype) for name, value in sorted(inputs.items()))
        key = kind, shapes
        if self.why or (key not in self._captured and key not in self._seen):
            self._seen.add(key)
            return self._eager(inputs, moment, body)
        if key not in self._captured:
            try:
                self._captured[key] = self._capture(inputs, moment, body)
            except RuntimeError as error:
                torch.cuda.synchronize()
                self._stay_eager(f"the step cannot be captured as a CUDA graph ({str(error).splitlines()[0]})")
                return self._eager(inputs, moment, body)
        captured = self._captured[key]
        for name, place in captured.inputs.items():
            place.copy_(inputs[name], non_blocking=True)
        captured.graph.replay()
        values, rows, start = captured.values.clone(), {}, 0
        for phase, names in captured.names.items():
            rows[phase] = names, values[start : start + len(names) + 1]
            start += len(names) + 1
        return rows

    def forget(self) -> None:
        """Give back what the graphs hold; steps of their kinds do not come again."""
        self._captured.clear()

    def _eager(self, inputs: Inputs, moment: Moment, body: Body) -> Rows:
        watched = _Watched(moment.step, moment.steps, moment.images, moment.stage)
        # On the stream of the captures, since what autograd makes at the first step belongs to the stream it ran on.
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            rows = body(
                {name: value.to(self._stream.device, non_blocking=True) for name, value in inputs.items()}, watched
            )
        torch.cuda.current_stream().wait_stream(self._stream)
        if getattr(watched, "looked", False) and not self.why:
            self._stay_eager("terms of the system change with the step")
        return rows

    def _stay_eager(self, why: str) -> None:
        if self._required:
            raise Fault(f"train.graphs: {why}; set auto, with which such steps run eagerly")
        self.why = why
        tqdm.write(f"train.graphs: {why}; steps run eagerly", file=sys.stderr)

    def _capture(self, inputs: Inputs, moment: Moment, body: Body) -> _Captured:
        places = {name: value.to(self._stream.device, copy=True) for name, value in inputs.items()}
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        # Only this thread's calls are watched: the loader's threads take page-locked memory meanwhile.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            rows = body(dict(places), moment)
            values = torch.cat([row for _, row in rows.values()])
        return _Captured(graph, places, {phase: names for phase, (names, _) in rows.items()}, values)
