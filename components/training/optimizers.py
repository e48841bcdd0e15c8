"""One fused Adam a phase, and the papers' learning-rate schedule."""

from torch import nn
from torch.optim import Adam

from components.faults import Fault
from components.systems.system import Phase, System
from components.training.config import TrainConfig


def learned(system: System, phase: Phase) -> list[nn.Parameter]:
    """The parameters that a phase learns, in a fixed order."""
    return [p for name in phase.learns for p in system.networks[name].parameters()]


def make_optimizers(system: System, config: TrainConfig) -> dict[str, Adam]:
    """An Adam for each phase, by the phase's name.

    Raises:
        Fault: `train.learning_rates` names a phase that the system does not have.
    """
    names = [phase.name for phase in system.phases]
    for name in config.learning_rates:
        if name not in names:
            raise Fault(f"train.learning_rates.{name}: no such phase; this system has {', '.join(names)}")
    return {
        phase.name: Adam(
            learned(system, phase),
            lr=config.learning_rates.get(phase.name, config.learning_rate),
            betas=config.betas,
            fused=True,
        )
        for phase in system.phases
    }


def require_moments(optimizer: Adam) -> None:
    """Refuse a loaded state whose moments are not of the shapes of the parameters, which Adam itself never asks.

    Raises:
        ValueError: of one.
    """
    for parameter, state in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            if state[name].shape != parameter.shape:
                raise ValueError(f"{name} is {tuple(state[name].shape)}, not {tuple(parameter.shape)}")


def rate_factor(step: int, steps: int, constant_share: float) -> float:
    """The learning rate of a step (from 0) as a share of the full one: constant, then linear to 0."""
    constant = int(steps * constant_share)
    return 1.0 if step < constant else (steps - step) / (steps - constant)


def set_rates(optimizers: dict[str, Adam], config: TrainConfig, step: int, steps: int) -> None:
    """Set each optimizer's learning rate for a step; a pure function, so nothing of it is saved."""
    factor = rate_factor(step, steps, config.constant_share)
    for name, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = factor * config.learning_rates.get(name, config.learning_rate)
