"""The optimizers that the phases name, by their published settings, and learning-rate schedules."""

from dataclasses import fields, replace
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer, RMSprop

from components.faults import Fault
from components.systems.system import Moment, Phase, Published, System
from components.training.config import TrainConfig

NETWORK = "network"  # the key of a group of parameters under which the name of their network stands


def learned(system: System, phase: Phase) -> list[nn.Parameter]:
    """The parameters that a phase learns, in a fixed order: all of its networks but those that the system froze."""
    return [p for name in phase.learns for p in system.networks[name].parameters() if p.requires_grad]


def settled(published: Published, config: TrainConfig) -> Published:
    """The settings of a run: those of `train` where it has them, else those that the system was published with."""
    given = {field.name: getattr(config, field.name, None) for field in fields(Published)}
    return replace(published, **{name: value for name, value in given.items() if value is not None})


def make_optimizers(system: System, config: TrainConfig) -> dict[str, Optimizer]:
    """One for each name of an optimizer among the phases, with a group of parameters for each network.

    Raises:
        Fault: `train.learning_rates` names neither an optimizer nor a network that learns.
    """
    require_rates_known(system, config)
    settings = settled(system.published, config)
    return {
        name: _make(
            settings,
            [{"params": list(system.networks[network].parameters()), NETWORK: network} for network in networks],
        )
        for name, networks in _learners(system).items()
    }


def _make(settings: Published, groups: list[dict[str, Any]]) -> Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    on_gpu = groups[0]["params"][0].device.type == "cuda"  # there a step may become a CUDA graph
    match settings.optimizer:
        case "adam":
            return Adam(groups, rate, settings.betas, settings.eps, decay, fused=True, capturable=on_gpu)
        case "rmsprop":
            momentum = settings.momentum
            return RMSprop(groups, rate, eps=settings.eps, momentum=momentum, weight_decay=decay, capturable=on_gpu)
        case "sgd":
            return SGD(groups, rate, momentum=settings.momentum, weight_decay=decay, fused=True)


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


def state_of(optimizer: Optimizer) -> dict[str, Any]:
    """What a checkpoint keeps of an optimizer."""
    state = optimizer.state_dict()
    groups = [group | {"lr": float(group["lr"])} for group in state["param_groups"]]
    return {"state": state["state"], "param_groups": groups}


def restore(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Take up the moments that `state_of` gave, on whatever device; the settings stay the optimizer's own.

    Raises:
        ValueError: moments that are not of the shapes of the parameters, which no optimizer itself asks.
    """
    own = optimizer.state_dict()["param_groups"]
    groups = [group | {"params": kept["params"]} for group, kept in zip(own, state["param_groups"], strict=True)]
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and name != "step" and value.shape != parameter.shape:
                raise ValueError(f"{name} is {tuple(value.shape)}, not {tuple(parameter.shape)}")


def rate_factor(config: TrainConfig, step: int, steps: int) -> float:
    """The learning rate of a step (from 0) as a share of the full one, as `train.schedule` says."""
    if config.schedule == "linear":
        constant = int(steps * config.constant_share)
        return 1.0 if step < constant else (steps - step) / (steps - constant)
    assert config.half_life is not None
    return 0.5 ** (step // config.half_life if config.schedule == "halved" else step / config.half_life)


def rate_groups(optimizers: dict[str, Optimizer]) -> list[dict[str, Any]]:
    """All groups of parameters that have a learning rate, in a fixed order."""
    return [group for optimizer in optimizers.values() for group in optimizer.param_groups]


def moment_of(system: System, config: TrainConfig, step: int, steps: int) -> Moment:
    """Where a run stands before a step (from 0)."""
    moment = Moment(step, steps, step * config.batch_size)
    return replace(moment, stage=system.course.stage(moment))


def rates(system: System, optimizers: dict[str, Optimizer], config: TrainConfig, step: int, steps: int) -> list[float]:
    """The learning rates of a step (from 0), in the order of `rate_groups`.

    A rate of `train.learning_rates` that names the network comes before one that names its optimizer.
    """
    factor = rate_factor(config, step, steps) * system.course.rate(moment_of(system, config, step, steps))
    rate, own = settled(system.published, config).learning_rate, system.published.rates
    asked = config.learning_rates
    return [
        factor * asked.get(group[NETWORK], asked.get(name, own.get(group[NETWORK], rate)))
        for name, optimizer in optimizers.items()
        for group in optimizer.param_groups
    ]
