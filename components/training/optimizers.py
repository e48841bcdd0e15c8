"""One fused Adam for each optimizer that the phases name, and the papers' learning-rate schedule."""

from torch import nn
from torch.optim import Adam

from components.faults import Fault
from components.systems.system import Phase, System
from components.training.config import TrainConfig

NETWORK = "network"  # the key of a group of parameters under which the name of their network stands


def learned(system: System, phase: Phase) -> list[nn.Parameter]:
    """The parameters that a phase learns, in a fixed order."""
    return [p for name in phase.learns for p in system.networks[name].parameters()]


def make_optimizers(system: System, config: TrainConfig) -> dict[str, Adam]:
    """An Adam for each name of an optimizer among the phases, with a group of parameters for each network.

    Raises:
        Fault: `train.learning_rates` names neither an optimizer nor a network that learns.
    """
    learners = _learners(system)
    require_rates_known(system, config)
    return {
        name: Adam(
            [{"params": list(system.networks[network].parameters()), NETWORK: network} for network in networks],
            lr=config.learning_rate,
            betas=config.betas,
            fused=True,
        )
        for name, networks in learners.items()
    }


def require_rates_known(system: System, config: TrainConfig) -> None:
    """Refuse a learning rate of its own for what does not learn.

    Raises:
        Fault: `train.learning_rates` names neither an optimizer nor a network that learns.
    """
    learners = _learners(system)
    known = {*learners, *(network for networks in learners.values() for network in networks)}
    for name in config.learning_rates:
        if name not in known:
            valid = ", ".join(sorted(known))
            raise Fault(f"train.learning_rates.{name}: no such optimizer or network; this system has {valid}")


def _learners(system: System) -> dict[str, dict[str, None]]:
    """The networks that each optimizer moves, by its name, in a fixed order."""
    learners: dict[str, dict[str, None]] = {}
    for phase in system.phases:
        learners.setdefault(phase.optimizer_name, {}).update(dict.fromkeys(phase.learns))
    return learners


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
    """Set each network's learning rate for a step; a pure function, so nothing of it is saved.

    A rate of `train.learning_rates` that names the network comes before one that names its optimizer.
    """
    factor = rate_factor(step, steps, config.constant_share)
    for name, optimizer in optimizers.items():
        whole = config.learning_rates.get(name, config.learning_rate)
        for group in optimizer.param_groups:
            group["lr"] = factor * config.learning_rates.get(group[NETWORK], whole)
