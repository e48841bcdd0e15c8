"""Phases in time: lazy penalties, parameters that rest and wake, terms that come and go; on one rank and on two."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.faults import Fault
from components.systems.system import Batch, Moment, Phase, Shape, System, Terms, Use, of_source
from components.training import loop
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.optimizers import make_optimizers, rates
from components.training.run import Run
from tests.reliability.ranks import together
from tests.staged import fit_whole_and_cut, weights_after
from tests.training.helpers import small_run, weights_of

STEPS, LAZY, WAKES, CLIP = 8, 3, 4, 0.2
CUTS = (LAZY, LAZY + 1, WAKES, WAKES + 1)  # on each side of a lazy step and of the change


class Growing(nn.Module):
    """A generator whose second layer rests until it is asked for."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor, grown: bool) -> Tensor:
        y = torch.tanh(self.first(x))
        return y + self.second(y) if grown else y


def toy(_: object, shape: Shape) -> System:
    """A critic with a lazy R1 that shares its optimizer and is clipped, and a generator that grows."""

    def critic(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        batch["fake"] = networks["generator"](batch["source"], grown=False)
        logits = networks["critic"](torch.cat([batch["fake"].detach(), batch["target"]])).chunk(2)
        return {"fake": F.softplus(logits[0]).mean(), "real": F.softplus(-logits[1]).mean()}

    def penalty(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        x = batch["target"].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(networks["critic"](x).sum(), x, create_graph=True)
        return {"r1": LAZY * 5 * gradient.square().sum(dim=(1, 2, 3)).mean()}

    def generator(networks: nn.ModuleDict, batch: Batch, moment: Moment) -> Terms:
        fake = networks["generator"](batch["source"], grown=moment.step >= WAKES)
        terms = {"adversarial": F.softplus(-networks["critic"](fake)).mean()}
        return terms | ({"l1": F.l1_loss(fake, batch["target"])} if moment.step >= WAKES else {})

    @torch.no_grad()
    def clip(networks: nn.ModuleDict) -> None:
        for parameter in networks["critic"].parameters():
            parameter.clamp_(-CLIP, CLIP)

    networks = {
        "critic": nn.Sequential(nn.Conv2d(3, 4, 4, 2), nn.Tanh(), nn.Conv2d(4, 1, 4, 2), nn.Flatten()),
        "generator": Growing(shape.source.channels),
    }
    return System(
        nn.ModuleDict(networks),
        (
            Phase("critic", ("critic",), critic, after=clip),
            # The last bias of a critic has no part in the gradient of its logits by the pictures.
            Phase("penalty", ("critic",), penalty, every=LAZY, optimizer="critic", partial=True, after=clip),
            Phase("generator", ("generator",), generator, partial=True),
        ),
        {"generator": Use("generator", of_source(lambda network, source, _: network(source, grown=True)))},
        lambda networks, batch: {"l1": F.l1_loss(networks["generator"](batch["source"], True), batch["target"])},
    )


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "build", toy)


def rank_main(group: Group, whole: Run, cuts: list[Run]) -> None:
    loop.build = toy
    fit_whole_and_cut(group, whole, cuts, CUTS)


def runs(shards: Path, folder: Path) -> tuple[Run, list[Run]]:
    """One run whole, and one for each cut; each keeps a checkpoint of every step."""
    settings = {"steps": STEPS, "checkpoint_every": 1, "keep_checkpoints": STEPS, "validation_samples": 4}
    return (
        small_run(shards, folder / "whole", **settings),
        [small_run(shards, folder / f"cut_{until}", **settings) for until in CUTS],
    )


@pytest.fixture(scope="module")
def trained(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Run, list[Run]]]:
    """By the number of ranks: the run that was never cut, and the cut ones."""
    folders = {world: tmp_path_factory.mktemp(f"world_{world}") for world in (1, 2)}
    made = {world: runs(tiny_shards, folder) for world, folder in folders.items()}
    for world in made:
        together(world, folders[world], rank_main, *made[world])
    return made


@pytest.mark.parametrize("world", [1, 2])
def test_a_resume_at_each_side_of_a_change_is_exact(trained, world):
    whole, cuts = trained[world]
    for run in cuts:
        for key, value in weights_of(whole).items():
            assert torch.equal(value, weights_of(run)[key]), (run.folder, key)
        assert whole.folder.joinpath("log.jsonl").read_text().count('"penalty.r1"') == 3  # steps 0, 3 and 6


def test_two_ranks_are_one_process(trained):
    for step in (1, WAKES, WAKES + 1, STEPS):
        one, two = (weights_after(trained[world][0], step) for world in (1, 2))
        for key, value in one.items():
            assert torch.allclose(value, two[key], rtol=1e-3, atol=2e-5), (step, key)


def test_what_rests_does_not_move_and_then_wakes(trained):
    for world in (1, 2):
        whole, _ = trained[world]
        states = {c.step: c.state()["optimizers"] for c in whole.checkpoints.all()}
        assert set(states[STEPS]) == {"critic", "generator"}  # the penalty has no optimizer of its own
        for key in ("generator.second.weight", "generator.second.bias"):
            assert torch.equal(weights_after(whole, 1)[key], weights_after(whole, WAKES)[key])
            assert not torch.equal(weights_after(whole, WAKES)[key], weights_after(whole, WAKES + 1)[key])
        steps = [int(state["step"]) for state in states[STEPS]["generator"]["state"].values()]
        assert steps == [STEPS, STEPS, STEPS - WAKES, STEPS - WAKES]
        # The critic's optimizer took a step for the penalty too, in which the last bias rested.
        taken = [int(state["step"]) for state in states[STEPS]["critic"]["state"].values()]
        assert taken == [STEPS + 3, STEPS + 3, STEPS + 3, STEPS]
        assert all(weights_after(whole, STEPS)[f"critic.{i}.weight"].abs().max() <= CLIP for i in (0, 2))


def test_a_rate_by_network_comes_before_one_by_optimizer():
    networks = nn.ModuleDict({name: nn.Linear(1, 1) for name in ("there", "back", "critic")})
    system = System(networks, (Phase("both", ("there", "back"), dict), Phase("critic", ("critic",), dict)), {}, dict)
    config = TrainConfig(steps=10, learning_rate=1e-3, learning_rates={"both": 1e-2, "back": 1e-4}, constant_share=0)
    optimizers = make_optimizers(system, config)
    assert rates(system, optimizers, config, 5, 10) == [5e-3, 5e-5, 5e-4]  # there, back, critic
    with pytest.raises(Fault, match=r"learning_rates\.nobody"):
        make_optimizers(system, TrainConfig(steps=1, learning_rates={"nobody": 1e-3}))
