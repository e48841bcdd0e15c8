"""Trainer: one step of any system, on one process or on many."""

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from components.faults import Fault
from components.objectives.adversarial import SEEN
from components.systems.system import Batch, Moment, Phase, System, Terms
from components.training.config import TrainConfig
from components.training.ema import EMA
from components.training.graphs import Graphs, Rows
from components.training.group import Group
from components.training.optimizers import learned, make_optimizers, moment_of, rate_groups, rates
from components.training.terms import TermLog, row_of

Prepare = Callable[[Mapping[str, Tensor]], Batch]  # on the device, from what the loader hands on


class Step(nn.Module):
    """All networks of a system as one module, so that one wrapper a phase sees the whole phase."""

    def __init__(self, system: System, precision: str) -> None:
        super().__init__()
        self.networks = system.networks
        self._precision = precision

    def forward(self, phase: Phase, batch: Batch, moment: Moment) -> Terms:
        """The terms of a phase on this rank's part of the batch."""
        device = next(iter(batch.values())).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._precision == "bfloat16"):
            return {name: term.float() for name, term in phase.terms(self.networks, batch, moment).items()}


class Trainer:
    """The networks with all that moves them: optimizers, averages, gradients over ranks.

    For each phase due: its terms, their sum, backward into the phase's own networks, its optimizer.
    Gradients of other networks are never computed (`backward(inputs=...)`), and a fake made in one
    phase keeps its graph for the next. With several ranks there is one DistributedDataParallel a phase,
    built while only that phase's networks require grad, so each reduces its own gradients only. It cannot
    reduce gradients of which some are missing, so those of a `partial` phase are averaged after their backward.
    """

    def __init__(
        self, system: System, config: TrainConfig, steps: int, group: Group, prepare: Prepare | None = None
    ) -> None:
        self.system, self.config, self.steps, self.group = system, config, steps, group
        self._prepare = prepare
        self._layout = memory_layout(system.networks, group.device)
        system.networks.to(group.device).to(memory_format=self._layout)  # type: ignore[call-overload]
        self.optimizers = make_optimizers(system, config)
        self.ema = EMA(system.networks, system.averaged, config.ema) if config.ema else None
        self._learned = {phase.name: learned(system, phase) for phase in system.phases}
        step = Step(system, config.precision)
        self.modules = {phase.name: self._parallel(step, phase) for phase in system.phases}
        # Two parts have one sum, and the gradients of a partial phase always lie in one order.
        self._rehearsed = {phase.name for phase in system.phases if group.world < 3 or phase.partial}
        self.terms = TermLog(group)
        self.graphs = Graphs(group.device, config.graphs == "on") if captures(config, group) else None
        # On a GPU what changes from step to step lies there, each value where a graph finds it.
        groups = len(rate_groups(self.optimizers))
        self._scalars = torch.zeros(groups + 1, device=group.device) if group.device.type == "cuda" else None
        self.profile: dict[str, float] | None = None

    def _parallel(self, step: Step, phase: Phase) -> nn.Module:
        if self.group.world == 1 or phase.partial:
            return step
        resting = {parameter for parameter in step.parameters() if parameter.requires_grad}
        resting -= set(self._learned[phase.name])
        for parameter in resting:
            parameter.requires_grad_(False)
        # No device_ids: the module is in place already, and DDP must not copy the batch, which phases share.
        module = DistributedDataParallel(step, forward_sync_buffers=False, gradient_as_bucket_view=True)
        for parameter in resting:
            parameter.requires_grad_(True)
        return module

    def step(self, index: int, inputs: Mapping[str, Tensor]) -> None:
        """Take step `index` (from 0) on this rank's part of the batch.

        Args:
            inputs: what `prepare` makes a batch of; without one, the batch.
        """
        self.group.alive(index)
        moment = moment_of(self.system, self.config, index, self.steps)
        if index and moment.stage != moment_of(self.system, self.config, index - 1, self.steps).stage:
            self._begin_stage()
        self.system.course.begin(self.system.networks, moment)
        due = [phase for phase in self.system.phases if phase.takes_place(moment)]
        if not self._rehearsed.issuperset(phase.name for phase in due):
            self._rehearse(due, self._batch(inputs), moment)
        share = self._set_scalars(index)
        # What is random in a network (dropout) is a function of the step, so there is no RNG state to keep.
        torch.manual_seed((self.config.seed << 32) + index * self.group.world + self.group.rank)

        def body(inputs: Mapping[str, Tensor], moment: Moment) -> Rows:
            return self._take(due, self._batch(inputs), moment, share)

        if self.graphs is None:
            rows = body(inputs, moment)
        else:
            rows = self.graphs.run((*moment.stage, *(phase.name for phase in due)), inputs, moment, body)
        for phase, (names, row) in rows.items():
            self.terms.add(index, phase, names, row)

    def _begin_stage(self) -> None:
        """Optimizers forget what they know of other layers, and no graph of the stage before is replayed again."""
        for optimizer in self.optimizers.values():
            optimizer.state.clear()
        if self.graphs is not None:
            self.graphs.forget()

    def _set_scalars(self, index: int) -> float | Tensor:
        """Set the learning rates of a step; gives what the averages take in after it."""
        share = self.ema.share(index) if self.ema is not None else 0.0
        values = rates(self.system, self.optimizers, self.config, index, self.steps)
        if self._scalars is None:
            for group, rate in zip(rate_groups(self.optimizers), values, strict=True):
                group["lr"] = rate
            return share
        self._scalars.copy_(torch.tensor([*values, share]), non_blocking=True)
        for group, rate in zip(rate_groups(self.optimizers), self._scalars, strict=False):
            group["lr"] = rate
        return self._scalars[-1]

    def _batch(self, inputs: Mapping[str, Tensor]) -> Batch:
        batch = dict(inputs) if self._prepare is None else self._prepare(inputs)
        if self._layout is torch.contiguous_format:
            batch = {name: value.contiguous() for name, value in batch.items()}
        return batch

    def _take(self, due: list[Phase], batch: Batch, moment: Moment, share: float | Tensor) -> Rows:
        """All phases of a step, and the averages after it: nothing here looks at a value from the host."""
        rows: Rows = {}
        for phase in due:
            learned, optimizer = self._learned[phase.name], self.optimizers[phase.optimizer_name]
            with _Timed(self.profile, "forward"):
                terms = self.modules[phase.name](phase, batch, moment)
            with _Timed(self.profile, "backward"):
                torch.stack(list(terms.values())).sum().backward(inputs=learned)
            with _Timed(self.profile, "optimizer"):
                gradients = [p.grad for p in learned if p.grad is not None]
                if phase.partial:
                    self.group.average(gradients)
                seen = {key.removeprefix(SEEN): batch.pop(key) for key in list(batch) if key.startswith(SEEN)}
                rows[phase.name] = (*terms, *seen), row_of(terms | seen, gradients)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if phase.after is not None:
                    phase.after(self.system.networks)
        if self.ema is not None:
            with _Timed(self.profile, "optimizer"):
                self.ema.update(share)
        return rows

    def _rehearse(self, due: list[Phase], batch: Batch, moment: Moment) -> None:
        """Compute the gradients of a step that leaves no trace, so that the first step adds up as all others do.

        DistributedDataParallel lays gradients out in the order in which they come, but only from its second
        backward on, and where a gradient lies decides in which order three ranks or more add their parts. The
        first step after a resume would round otherwise than the same step of a run that was never killed.
        """
        buffers = {name: buffer.clone() for name, buffer in self.system.networks.named_buffers()}
        memories = {name: memory.state_dict() for name, memory in self.system.memories.items()}
        for phase in due:
            terms = self.modules[phase.name](phase, batch, moment)
            torch.stack(list(terms.values())).sum().backward(inputs=self._learned[phase.name])
            self.optimizers[phase.optimizer_name].zero_grad(set_to_none=True)
        for name, buffer in self.system.networks.named_buffers():
            buffer.copy_(buffers[name])
        for name, memory in self.system.memories.items():
            memory.load_state_dict(memories[name])
        self._rehearsed |= {phase.name for phase in due}

    def buffers(self) -> list[Tensor]:
        """What each rank keeps by itself: BatchNorm's running moments."""
        return [buffer for buffer in self.system.networks.buffers() if buffer.is_floating_point()]


def captures(config: TrainConfig, group: Group) -> bool:
    """Whether steps become CUDA graphs: where the one rank has a GPU, unless `train.graphs` is off.

    Raises:
        Fault: `train.graphs` is on, and there is no GPU, or more than one rank.
    """
    can = group.device.type == "cuda" and group.world == 1
    if config.graphs == "on" and not can:
        has = "there is no GPU" if group.device.type != "cuda" else f"{group.world} ranks reduce their gradients"
        raise Fault(f"train.graphs: on needs one rank with a GPU, and {has}; set auto or off")
    return config.graphs != "off" and can


def memory_layout(networks: nn.Module, device: torch.device) -> torch.memory_format:
    """Channels last, as pictures come: convolutions are up to 1.5 times as fast so. But the InstanceNorm of a GPU
    wants contiguous memory, and costs more than they gain (docs/gpu.md)."""
    instance = any(isinstance(module, nn.InstanceNorm2d) for module in networks.modules())
    return torch.contiguous_format if instance and device.type == "cuda" else torch.channels_last


class _Timed:
    """Add the seconds of a block to a profile, when one is being made."""

    def __init__(self, profile: dict[str, float] | None, name: str) -> None:
        self.profile, self.name = profile, name

    def __enter__(self) -> None:
        self.begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self.profile is not None:
            self.profile[self.name] = self.profile.get(self.name, 0.0) + time.perf_counter() - self.begin
