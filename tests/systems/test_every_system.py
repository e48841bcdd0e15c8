"""Every system, small: two steps, a resume, two ranks, and pictures that do not depend on their batch."""

import os
import socket
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from pydantic import TypeAdapter
from torch import Tensor, nn

from components.faults import Fault
from components.networks.layers import SyncBatchNorm2d
from components.networks.style_gan import Synthesis
from components.objectives.replay_pool import ReplayPool
from components.samples.task import Task
from components.systems import AnySystemConfig, SystemConfig, build
from components.systems.system import Given, Moment, Phase, System
from components.training import loop
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.loop import fit, load
from components.training.run import Run, plan
from components.training.trainer import Trainer
from tests.conftest import TO_LABELS, TO_PHOTO, write_kinds
from tests.training.helpers import weights_of

RESNET = {"name": "resnet", "width": 4, "blocks": 1}
UNET = {"name": "unet", "width": 4, "levels": 3, "norm": "instance", "dropout": 0}
PATCHES = {"patch_size": 16, "discriminator": {"width": 4, "norm": "instance"}}
THIN = {"widths": (16,), "critic_widths": (8,)}
CONVOLUTIONS = {"name": "convolutions", "width": 4, "norm": "sync_batch"}
GROWTH = {"start": 8, "steady": 4, "fade": 8}  # a level of its own for a step of four, then faded in for two
# Pools smaller than a batch: in the first step already they hand on what they hold.
SMALL: dict[str, dict[str, Any]] = {
    "pix2pix": {"generator": UNET} | PATCHES,
    "cyclegan": {"generator": RESNET, "pool_size": 2} | PATCHES,
    "discogan": {"generator": UNET | {"name": "encoder_decoder"}, "lambda_features": 1.0} | PATCHES,
    "cogan": {"latent": 8, "width": 4, "norm": "instance", "inversion_steps": 3},
    "bigan": {"generator": RESNET, "pool_size": 2} | PATCHES,
    "simgan": {"generator": RESNET, "history_size": 2} | PATCHES,
    "feature_gan": {"generator": RESNET, "history_size": 2} | PATCHES,
    "srgan": {"resnet_share": 0, "width": 4, "blocks": 1, "norm": "sync_batch", "lambda_adversarial": 0.5}
    | {"discriminator": {"width": 4, "units": 8, "norm": "sync_batch"}},
    "style_transfer": {"styles": ["brick", "coffee"], "widths": [4, 8], "blocks": 1}
    | {"features": {"name": "efficientnet_lite0"}, "content_layer": "block2"}
    | {"style_layers": {"stem": 1.0, "block2": 1.0}},
    "dcgan": {"latent": 8, "width": 4, "norm": "sync_batch"},
    "cgan": {"latent": 8, "networks": {"name": "convolutions", "width": 4, "norm": "sync_batch"}},
    "wgan_gp": {"latent": 8, "width": 4, "num_critic": 2},
    "gan": {"latent": 8, "networks": {"name": "fully_connected", "dropout_input": 0, "dropout": 0} | THIN},
    "lsgan": {"latent": 8, "networks": {"name": "lsgan", "width": 4, "norm": "sync_batch"}},
    "wgan": {"latent": 8, "networks": CONVOLUTIONS, "num_critic": 2, "clip": 0.5},
    "dragan": {"latent": 8, "networks": CONVOLUTIONS | {"critic_norm": "instance"}},
    "sn_gan": {"latent": 8, "networks": {"name": "residual", "width": 4, "pooled": "sum"}, "num_critic": 2},
    "r3gan": {"latent": 8, "networks": {"name": "r3gan", "width": 4, "blocks": 1}},
    "began": {"latent": 8, "width": 4, "lambda_k": 0.5},
    "ebgan": {"latent": 8, "width": 4, "critic_width": 4, "norm": "sync_batch", "margin": 100},
    "d2gan": {"latent": 8, "width": 4, "norm": "sync_batch"},
    "mgan": {"latent": 8, "width": 4, "norm": "sync_batch", "num_heads": 2, "beta": 0.5},
    # Wide, with a small rate: Adam's first step takes the sign even of a gradient that is all rounding error, and the
    # generator's gradient goes through the weights after it.
    "unrolled_gan": {"latent": 8, "networks": CONVOLUTIONS | {"width": 16}, "num_unrolled": 2, "inner_rate": 0.05},
    "lapgan": {"conditional": True, "width": 4, "base_widths": (16,), "critic_widths": (8,), "dropout": 0},
    "stacked_gan": {"width": 4, "latent": 8, "norm": "sync_batch", "encoder_share": 0.5, "independent_share": 0}
    | {"noise_features": 0, "noise_pictures": 0, "dropout": 0},
    "star_gan": {"width": 4, "blocks": 1, "critic_width": 4, "num_critic": 1},
    "pg_gan": {"latent": 8, "width": 4, "growth": GROWTH},
    "style_gan": {"latent": 8, "width": 4, "growth": GROWTH, "mapping": 2},
    "star_gan_v2": {"width": 4, "most": 8, "levels": 1, "latent": 4, "style": 4, "hidden": 8},
    "fcn8s": {"width": 2, "dropout": 0},
    "classifier": {"width": 2, "dropout": 0},
}
OF_A_KIND = ("cgan", "lapgan", "stacked_gan", "star_gan", "star_gan_v2", "classifier")
REMEMBER = ("cyclegan", "bigan", "simgan", "feature_gan")


def run_of(name: str, shards: Path, root: Path, system: dict[str, Any] | None = None, **train: Any) -> Run:
    """A run of two steps of a small system, or of another of that name."""
    config = TypeAdapter(SystemConfig).validate_python({"name": name} | (system or SMALL[name]))
    settings = {"steps": 2, "batch_size": 4, "checkpoint_every": 1, "log_every": 1, "validation_samples": 4, "ema": 0.9}
    settings |= {"learning_rate": 1e-3, "labels": "one_hot" if config.paired else "colour"}
    if name in OF_A_KIND:
        shards = kinds_beside(shards)
    tasks = dict.fromkeys(OF_A_KIND) | {"fcn8s": TO_LABELS, "classifier": Task(source="photo", target="kind")}
    task = train.pop("task", tasks.get(name, TO_PHOTO))
    return plan(config, TrainConfig(**(settings | train)), shards, root, task)


def kinds_beside(shards: Path) -> Path:
    """Photos of three kinds, for the systems whose task has a category."""
    kinds = shards.parent / "kinds"
    return kinds if kinds.exists() else write_kinds(kinds)


def test_no_system_is_left_out():
    names = {config.model_fields["name"].default for config in get_args(AnySystemConfig)}
    assert names == SMALL.keys()


@pytest.mark.parametrize("name", SMALL)
def test_two_steps_are_one_and_a_resumed_one(tiny_shards, tmp_path, name):
    whole, cut = (run_of(name, tiny_shards, tmp_path / part) for part in ("whole", "cut"))
    fit(whole, Group())
    fit(cut, Group(), until=1)
    first = weights_of(cut)
    fit(cut, Group())
    assert_same_weights(whole, cut)
    assert_same_memories(memories_of(whole), memories_of(cut))
    last, system = weights_of(cut), build(cut.system, cut.shape())
    for phase in due(system, 1):  # and each network has learned in the second step
        for network in phase.learns:
            assert any(not torch.equal(first[k], last[k]) for k in last if k.startswith(f"{network}.")), network


@pytest.mark.parametrize("name", REMEMBER)
def test_the_check_above_sees_a_lost_memory(tiny_shards, tmp_path, monkeypatch, name):
    whole, cut = (run_of(name, tiny_shards, tmp_path / part) for part in ("whole", "cut"))
    fit(whole, Group())
    fit(cut, Group(), until=1)
    monkeypatch.setattr(ReplayPool, "load_state_dict", lambda self, state: None)
    fit(cut, Group())
    with pytest.raises(AssertionError):
        assert_same_weights(whole, cut)


def test_the_systems_that_remember_are_those(tiny_shards, tmp_path):
    remembering = {name for name in SMALL if system_of(run_of(name, tiny_shards, tmp_path)).memories}
    assert remembering == set(REMEMBER)


def test_two_ranks_take_the_step_of_one_process(tiny_shards, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "build", lambda config, shape: synchronised(build(config, shape)))
    alone, together = ([run_of(name, tiny_shards, tmp_path / part) for name in SMALL] for part in ("alone", "together"))
    for run in alone:
        fit(run, Group())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(rank_main, (2, port, together, tmp_path), nprocs=2)
    for one, two in zip(alone, together, strict=True):
        assert_same_first_step(one, two)
        name = one.system.name
        held = [torch.load(tmp_path / f"{name}_{rank}.pt", weights_only=True) for rank in range(2)]
        assert_same_memories(*held)  # bitwise, after two steps
        assert_same_memories(held[0], memories_of(one), atol=1e-3)


def rank_main(rank: int, world: int, port: int, runs: list[Run], folder: Path) -> None:
    """One rank of a gloo group; leaves its memories of each run in a file."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    systems: list[System] = []
    take = Trainer.step

    def step(self: Trainer, index: int, batch: dict[str, Tensor]) -> None:
        systems.append(self.system)
        take(self, index, batch)

    Trainer.step = step  # type: ignore[method-assign]
    loop.build = lambda config, shape: synchronised(build(config, shape))
    for run in runs:
        fit(run, Group(rank, world))
        states = {name: memory.state_dict() for name, memory in systems[-1].memories.items()}
        torch.save(states, folder / f"{run.system.name}_{rank}.pt")
    dist.destroy_process_group()


def varied(system: System) -> System:
    """StyleGAN's constant starts without any variance and is divided by its deviation: only rounding would be seen."""
    for module in system.networks.modules():
        if isinstance(module, Synthesis):
            module.constant.data *= torch.linspace(-1, 1, module.constant.numel()).view_as(module.constant)
    return system


def synchronised(system: System) -> System:
    """The judge's BatchNorm takes statistics per rank, by its nature another step; here it takes them together.

    Channels that hardly vary are kept from making float32's rounding large: without, it is 1e-4 of the gradient.
    """
    for module in varied(system).networks.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm2d
            module.eps = 0.1
    return system


@pytest.mark.parametrize("name", SMALL)
def test_a_picture_does_not_depend_on_its_batch(tiny_shards, tmp_path, name):
    system = system_of(run_of(name, tiny_shards, tmp_path))
    torch.manual_seed(0)
    system.networks.eval().requires_grad_(False)
    shape = run_of(name, tiny_shards, tmp_path).shape()
    for use in system.uses.values():
        seeds, turned = torch.arange(3), torch.tensor([2, 0, 1])
        source = condition = reference = None
        if "source" in use.needs:
            channels = (shape.target if use.makes == "source" else shape.source).channels
            source = torch.rand(3, channels, *shape.source.height_width)
        if "condition" in use.needs:
            condition = torch.eye(3)
        if "reference" in use.needs:
            reference = torch.rand(3, shape.target.channels, *shape.target.height_width)
        network = use.of(system.networks)
        given = {"source": source, "condition": condition, "reference": reference}
        with torch.inference_mode():
            made = use.run(network, Given(seeds, **given))
            again = use.run(
                network, Given(seeds[turned], **{name: None if x is None else x[turned] for name, x in given.items()})
            )
        end = shape.made_by(use)
        assert made.shape == ((3, 3) if end.kind == "category" else (3, end.channels, *end.height_width))
        assert torch.allclose(made[turned], again, atol=0 if use.needs == {"source"} else 1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_what_a_system_says_of_itself_holds_together(tiny_shards, tmp_path, name):
    run = run_of(name, tiny_shards, tmp_path)
    system = build(run.system, run.shape())
    learning = {network for phase in system.phases for network in phase.learns}
    assert learning == set(system.networks)
    assert {network for use in system.uses.values() for network in use.networks} <= set(system.averaged) <= learning
    made = [(use.makes, "reference" in use.needs) for use in system.uses.values()]
    assert made in ([("target", False)], [("target", False), ("source", False)], [("target", False), ("target", True)])
    assert all(use.needs - {"reference"} == run.system.needed for use in system.uses.values())


def system_of(run: Run) -> System:
    torch.manual_seed(0)
    return build(run.system, run.shape())


def due(system: System, step: int) -> list[Phase]:
    """The phases of a step, from 0, of the two."""
    return [phase for phase in system.phases if phase.takes_place(Moment(step, 2, 4 * step))]


def memories_of(run: Run) -> dict[str, Any]:
    last = run.checkpoints.last()
    assert last is not None
    return last.state()["memories"]


def assert_same_weights(one: Run, two: Run) -> None:
    a, b = weights_of(one), weights_of(two)
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


def assert_same_memories(one: dict[str, Any], two: dict[str, Any], atol: float = 0.0) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert one[name]["seen"] == two[name]["seen"] == 8
        assert torch.allclose(one[name]["pictures"], two[name]["pictures"], rtol=0, atol=atol), name


def assert_same_first_step(one: Run, two: Run) -> None:
    """Gradients and weights of the first step, network by network; see tests/training/test_parallel.py."""
    system = build(one.system, one.shape())
    first, second = (run.checkpoints.all()[0] for run in (one, two))
    assert first.step == second.step == 1
    a, b, states = first.weights(), second.weights(), [c.state()["optimizers"] for c in (first, second)]
    phases = due(system, 0)
    for optimizer in dict.fromkeys(phase.optimizer_name for phase in phases):
        sharing = [phase for phase in phases if phase.optimizer_name == optimizer]
        learned = dict.fromkeys(net for phase in sharing for net in phase.learns)
        names = [f"{net}.{key}" for net in learned for key, _ in system.networks[net].named_parameters()]
        settled = total = 0
        moved = states[0][optimizer]["state"]  # all that it learns, but for a phase in which some may rest
        assert len(moved) == len(names) or (any(phase.partial for phase in sharing) and moved)
        scale = max(1.0, *(gradient_after_one_step(state).abs().max().item() for state in moved.values()))
        for index, name in ((index, names[index]) for index in moved):
            mine, theirs = (gradient_after_one_step(state[optimizer]["state"][index]) for state in states)
            assert torch.allclose(mine, theirs, atol=1e-5 * scale, rtol=1e-3), (one.system.name, name, scale)
            sure = mine.abs() > (0 if system.published.optimizer == "sgd" else 1e-5 * scale)  # its steps are as small
            assert torch.allclose(a[name][sure], b[name][sure], atol=2e-5), (one.system.name, name)
            settled, total = settled + int(sure.sum()), total + int((mine != 0).sum())
        assert settled > 0.5 * total, (one.system.name, optimizer, settled / total)


def gradient_after_one_step(state: dict[str, Tensor]) -> Tensor:
    """The first step's gradient, but for a factor: Adam's and SGD's first moment, the root of RMSProp's second."""
    if "square_avg" in state:
        return state["square_avg"].sqrt()
    return state["momentum_buffer"] if "momentum_buffer" in state else state["exp_avg"] * 2


def test_weights_of_another_system_are_refused(tiny_shards, tmp_path):
    one, two = (run_of(name, tiny_shards, tmp_path) for name in ("cyclegan", "bigan"))
    fit(one, Group(), until=1)
    trainer = Trainer(system_of(two), two.train, 2, Group())
    with pytest.raises(Fault, match="not the weights of this run: it has discriminator_back"):
        load(one.checkpoints.last(), trainer)
