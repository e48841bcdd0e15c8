"""The parts of training, each against its closed form."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.optim import SGD, Adam, RMSprop

from components.faults import Fault
from components.systems import build
from components.systems.system import Phase, Published, System
from components.systems.translation.pix2pix import Pix2PixConfig, UNetConfig
from components.training.config import TrainConfig
from components.training.ema import EMA
from components.training.group import Group
from components.training.loop import fit
from components.training.optimizers import make_optimizers, rate_factor
from components.training.trainer import Trainer
from tests.training.helpers import small_run


def test_learning_rate_is_constant_then_linear_to_zero():
    config = TrainConfig(steps=200, constant_share=0.5)
    factors = [rate_factor(config, step, 200) for step in range(200)]
    assert factors[:101] == [1.0] * 101
    assert factors[150] == pytest.approx(0.5)
    assert factors[199] == pytest.approx(0.01)
    assert rate_factor(TrainConfig(steps=200, constant_share=1.0), 199, 200) == 1.0


def test_rates_that_are_halved_or_fall_evenly():
    halved = TrainConfig(steps=200, schedule="halved", half_life=50)
    assert [rate_factor(halved, step, 200) for step in (0, 49, 50, 149, 150)] == [1, 1, 0.5, 0.25, 0.125]
    falling = TrainConfig(steps=200, schedule="exponential", half_life=50)
    assert [rate_factor(falling, step, 200) for step in (0, 50, 100)] == [1, 0.5, 0.25]
    assert rate_factor(falling, 25, 200) == pytest.approx(2**-0.5)
    for wrong in ({"schedule": "halved"}, {"half_life": 5}):
        with pytest.raises(ValidationError, match="half_life goes with"):
            TrainConfig(steps=1, **wrong)


@pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("rmsprop", RMSprop), ("sgd", SGD)])
def test_an_optimizer_is_the_systems_own_unless_params_say_otherwise(name, kind):
    networks = nn.ModuleDict({"g": nn.Linear(1, 1)})
    own = Published(optimizer=name, learning_rate=0.5, betas=(0.1, 0.2), eps=0.3, momentum=0.4, weight_decay=0.6)
    system = System(networks, (Phase("g", ("g",), dict),), {}, dict, published=own)
    made = make_optimizers(system, TrainConfig(steps=1))["g"]
    assert type(made) is kind
    assert (made.defaults["lr"], made.defaults["weight_decay"]) == (0.5, 0.6)
    mine = make_optimizers(system, TrainConfig(steps=1, learning_rate=0.01, weight_decay=0.0, optimizer="adam"))["g"]
    assert type(mine) is Adam
    assert (mine.defaults["lr"], mine.defaults["betas"], mine.defaults["weight_decay"]) == (0.01, (0.1, 0.2), 0.0)


def test_ema_is_its_recurrence():
    network = nn.ModuleDict({"g": nn.Linear(1, 1, bias=False)})
    ema = EMA(network, ("g",), 0.9)
    average = network["g"].weight.item()
    for step in range(40):
        with torch.no_grad():
            network["g"].weight.fill_(step)
        ema.update(ema.share(step))
        decay = min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * step
    assert ema.averages["g.weight"].item() == pytest.approx(average, rel=1e-5)
    with ema.applied():
        assert network["g"].weight.item() == pytest.approx(average, rel=1e-5)
    assert network["g"].weight.item() == 39


def test_a_step_runs_the_generator_once_and_each_phase_moves_its_own_networks(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path)
    system = build(run.system, run.shape())
    trainer = Trainer(system, run.train, 6, Group())
    forwards = {"generator": 0, "discriminator": 0}
    for name in forwards:
        system.networks[name].register_forward_hook(
            lambda *_, name=name: forwards.__setitem__(name, forwards[name] + 1)
        )
    batch = {"source": torch.rand(4, 4, 32, 32), "target": torch.rand(4, 3, 32, 32), "seeds": torch.arange(4)}
    before = {key: value.clone() for key, value in system.networks.state_dict().items()}
    moved = {}
    for phase in system.phases:
        trainer.optimizers[phase.name].register_step_post_hook(
            lambda *_, name=phase.name: moved.__setitem__(
                name,
                {
                    key.split(".")[0]
                    for key, v in system.networks.state_dict().items()
                    if not torch.equal(v, before[key])
                },
            )
        )
    trainer.step(0, batch)
    assert forwards == {"generator": 1, "discriminator": 3}
    assert moved == {"discriminator": {"discriminator"}, "generator": {"discriminator", "generator"}}


def test_gradients_are_those_of_the_textbook_step(tiny_shards, tmp_path):
    """The shared fake gives the gradients of a step written out the long way, with a second forward."""
    run = small_run(tiny_shards, tmp_path, norm="batch", learning_rate=1e-3)
    torch.manual_seed(0)
    system = build(run.system, run.shape())
    torch.manual_seed(0)
    other = build(run.system, run.shape()).networks
    batch = {"source": torch.rand(4, 4, 32, 32), "target": torch.rand(4, 3, 32, 32) * 2 - 1, "seeds": torch.arange(4)}
    trainer = Trainer(system, run.train, 6, Group())
    trainer.step(0, dict(batch))
    g, d = other["generator"], other["discriminator"]
    adam = {n: torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)) for n, net in (("g", g), ("d", d))}
    bce = nn.BCEWithLogitsLoss()
    fake = torch.tanh(g(batch["source"]))
    real_logits = d(torch.cat([batch["source"], batch["target"]], 1))
    fake_logits = d(torch.cat([batch["source"], fake.detach()], 1))
    loss = 0.5 * (bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits)))
    loss.backward()
    adam["d"].step()
    fake = torch.tanh(g(batch["source"]))
    logits = d(torch.cat([batch["source"], fake], 1))
    (bce(logits, torch.ones_like(logits)) + 100 * (fake - batch["target"]).abs().mean()).backward()
    adam["g"].step()
    # Adam's first moment after one step is the gradient times (1 - beta1); the weights themselves move by
    # the learning rate even where the gradient is nothing but rounding.
    for name, theirs in (("discriminator", adam["d"]), ("generator", adam["g"])):
        mine = trainer.optimizers[name].state
        for a, b in zip(system.networks[name].parameters(), other[name].parameters(), strict=True):
            assert torch.allclose(mine[a]["exp_avg"], theirs.state[b]["exp_avg"], rtol=1e-3, atol=1e-7)
            assert float(mine[a]["exp_avg"].abs().max()) > 0


def test_sizes_that_the_generator_cannot_halve_are_refused(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path)
    with pytest.raises(Fault, match=r"system\.generator\.levels: 6 stride-2 levels need sides"):
        build(Pix2PixConfig(generator=UNetConfig(levels=6)), run.shape())


def test_a_patch_larger_than_the_picture_is_allowed_and_said(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path)
    system = build(run.system.model_copy(update={"patch_size": 286}), run.shape())
    assert system.notes
    assert "larger than the 32x32 picture" in system.notes[0]


def test_precision_bfloat16_trains(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path, precision="bfloat16", steps=1)
    fit(run, Group())
    assert run.checkpoints.last().step == 1
