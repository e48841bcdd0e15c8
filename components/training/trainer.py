"""Trainer: one step of any system, on one process or on many."""

import time

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from components.objectives.adversarial import SEEN
from components.systems.system import Batch, Moment, Phase, System, Terms
from components.training.config import TrainConfig
from components.training.ema import EMA
from components.training.group import Group
from components.training.optimizers import learned, make_optimizers, set_rates
from components.training.terms import TermLog


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

    def __init__(self, system: System, config: TrainConfig, steps: int, group: Group) -> None:
        self.system, self.config, self.steps, self.group = system, config, steps, group
        # Channels last: pictures come so, and convolutions are up to 1.5 times as fast on CPUs and GPUs.
        system.networks.to(group.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers = make_optimizers(system, config)
        self.ema = EMA(system.networks, system.averaged, config.ema) if config.ema else None
        self._learned = {phase.name: learned(system, phase) for phase in system.phases}
        step = Step(system, config.precision)
        self.modules = {phase.name: self._parallel(step, phase) for phase in system.phases}
        # Two parts have one sum, and the gradients of a partial phase always lie in one order.
        self._rehearsed = {phase.name for phase in system.phases if group.world < 3 or phase.partial}
        self.terms = TermLog(group)
        self.profile: dict[str, float] | None = None

    def _parallel(self, step: Step, phase: Phase) -> nn.Module:
        if self.group.world == 1 or phase.partial:
            return step
        resting = set(step.parameters()) - set(self._learned[phase.name])
        for parameter in resting:
            parameter.requires_grad_(False)
        # No device_ids: the module is in place already, and DDP must not copy the batch, which phases share.
        module = DistributedDataParallel(step, forward_sync_buffers=False, gradient_as_bucket_view=True)
        for parameter in resting:
            parameter.requires_grad_(True)
        return module

    def step(self, index: int, batch: Batch) -> None:
        """Take step `index` (from 0) on this rank's part of the batch."""
        self.group.alive(index)
        moment = Moment(index, self.steps, index * self.config.batch_size)
        due = [phase for phase in self.system.phases if phase.takes_place(moment)]
        if not self._rehearsed.issuperset(phase.name for phase in due):
            self._rehearse(due, dict(batch), moment)
        set_rates(self.system, self.optimizers, self.config, index, self.steps)
        # What is random in a network (dropout) is a function of the step, so there is no RNG state to keep.
        torch.manual_seed((self.config.seed << 32) + index * self.group.world + self.group.rank)
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
                self.terms.add(index, phase.name, terms | seen, gradients)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if phase.after is not None:
                    phase.after(self.system.networks)
        if self.ema is not None:
            with _Timed(self.profile, "optimizer"):
                self.ema.update(index)

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


class _Timed:
    """Add the seconds of a block to a profile, when one is being made."""

    def __init__(self, profile: dict[str, float] | None, name: str) -> None:
        self.profile, self.name = profile, name

    def __enter__(self) -> None:
        self.begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self.profile is not None:
            self.profile[self.name] = self.profile.get(self.name, 0.0) + time.perf_counter() - self.begin
