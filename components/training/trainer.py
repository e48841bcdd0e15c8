"""Trainer: one step of any system, on one process or on many."""

import time

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam

from components.objectives.adversarial import SEEN
from components.systems.system import Batch, Phase, System, Terms
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

    def forward(self, phase: Phase, batch: Batch) -> Terms:
        """The terms of a phase on this rank's part of the batch."""
        device = next(iter(batch.values())).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._precision == "bfloat16"):
            return {name: term.float() for name, term in phase.terms(self.networks, batch).items()}


class Trainer:
    """The networks with all that moves them: optimizers, averages, gradients over ranks.

    For each phase due: its terms, their sum, backward into the phase's own networks, its optimizer.
    Gradients of resting networks are never computed (`backward(inputs=...)`), and a fake made in one
    phase keeps its graph for the next. With several ranks there is one DistributedDataParallel a phase,
    built while only that phase's networks require grad, so each reduces its own gradients only.
    """

    def __init__(self, system: System, config: TrainConfig, steps: int, group: Group) -> None:
        self.system, self.config, self.steps, self.group = system, config, steps, group
        # Channels last: pictures come so, and convolutions are up to 1.5 times as fast on CPUs and GPUs.
        system.networks.to(group.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizers: dict[str, Adam] = make_optimizers(system, config)
        self.ema = EMA(system.networks, system.averaged, config.ema) if config.ema else None
        self._learned = {phase.name: learned(system, phase) for phase in system.phases}
        step = Step(system, config.precision)
        self.modules = {phase.name: self._parallel(step, phase) for phase in system.phases}
        self._rehearsed = group.world < 3  # two parts have one sum
        self.terms = TermLog(group)
        self.profile: dict[str, float] | None = None

    def _parallel(self, step: Step, phase: Phase) -> nn.Module:
        if self.group.world == 1:
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
        if not self._rehearsed:
            self._rehearse(dict(batch))
        set_rates(self.optimizers, self.config, index, self.steps)
        # What is random in a network (dropout) is a function of the step, so there is no RNG state to keep.
        torch.manual_seed((self.config.seed << 32) + index * self.group.world + self.group.rank)
        for phase in self.system.phases:
            if index % phase.every:
                continue
            with _Timed(self.profile, "forward"):
                terms = self.modules[phase.name](phase, batch)
            with _Timed(self.profile, "backward"):
                torch.stack(list(terms.values())).sum().backward(inputs=self._learned[phase.name])
            with _Timed(self.profile, "optimizer"):
                gradients = [p.grad for p in self._learned[phase.name] if p.grad is not None]
                seen = {key.removeprefix(SEEN): batch.pop(key) for key in list(batch) if key.startswith(SEEN)}
                self.terms.add(index, phase.name, terms | seen, gradients)
                self.optimizers[phase.name].step()
                self.optimizers[phase.name].zero_grad(set_to_none=True)
        if self.ema is not None:
            with _Timed(self.profile, "optimizer"):
                self.ema.update(index)

    def _rehearse(self, batch: Batch) -> None:
        """Compute the gradients of a step that leaves no trace, so that the first step adds up as all others do.

        DistributedDataParallel lays gradients out in the order in which they come, but only from its second
        backward on, and where a gradient lies decides in which order three ranks or more add their parts. The
        first step after a resume would round otherwise than the same step of a run that was never killed.
        """
        buffers = {name: buffer.clone() for name, buffer in self.system.networks.named_buffers()}
        memories = {name: memory.state_dict() for name, memory in self.system.memories.items()}
        for phase in self.system.phases:
            terms = self.modules[phase.name](phase, batch)
            torch.stack(list(terms.values())).sum().backward(inputs=self._learned[phase.name])
            self.optimizers[phase.name].zero_grad(set_to_none=True)
        for name, buffer in self.system.networks.named_buffers():
            buffer.copy_(buffers[name])
        for name, memory in self.system.memories.items():
            memory.load_state_dict(memories[name])
        self._rehearsed = True

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
