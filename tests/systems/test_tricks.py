"""Tricks as params of a pair: changes before the discriminator, fakes of past steps, the mean of past weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from components.faults import Fault
from components.objectives.diff_augment import coloured, cut_out, diff_augment, translated
from components.objectives.historical_average import HistoricalAverage
from components.samples.domain import Domain, Mixture
from components.systems.generation.cgan import CGANConfig, cgan
from components.systems.generation.dcgan import DCGANConfig, dcgan
from components.systems.generation.pair import PairSection, pair
from components.systems.system import Moment, Published, Shape, System
from components.systems.tricks import FAKES, MADE, REALS
from components.training.feed import Feed
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run
from components.training.trainer import Trainer
from tests.reliability.ranks import together
from tests.systems.test_capturable import Watched
from tests.systems.test_every_system import SMALL, run_of, system_of
from tests.systems.test_pairs import Fixed
from tests.training.helpers import weights_of

PHOTO, KIND = Domain(kind="image"), Domain(kind="category", classes=tuple("abc"))
NOW = Moment(0, 10, 0)
ALL = {"history_size": 6, "lambda_historical": 0.1, "diff_augment": ["colour", "translation", "cutout"]}
CGAN = SMALL["cgan"] | {"networks": {"name": "convolutions", "width": 4, "norm": "none"}} | ALL


def pictures_of(count: int = 4, size: tuple[int, int] = (16, 16)) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


# DiffAugment


def test_colours_change_the_mean_the_saturation_and_the_contrast():
    pictures, middle = pictures_of(), torch.tensor([[0.5, 0.5, 0.5]]).expand(4, 3)
    assert torch.allclose(coloured(pictures, middle), pictures)
    brighter = coloured(pictures, torch.tensor([[0.75, 0.5, 0.5]]).expand(4, 3))
    assert torch.allclose(brighter, pictures + 0.25)
    grey = coloured(pictures, torch.tensor([[0.5, 0.0, 0.5]]).expand(4, 3))
    assert torch.allclose(grey, pictures.mean(dim=1, keepdim=True).expand_as(grey))
    stronger = coloured(pictures, torch.tensor([[0.5, 0.5, 1.0]]).expand(4, 3))
    means = pictures.mean(dim=(1, 2, 3))
    assert torch.allclose(stronger.mean(dim=(1, 2, 3)), means)
    assert torch.allclose(stronger.std(dim=(1, 2, 3)), 1.5 * pictures.std(dim=(1, 2, 3)))


def test_a_shift_is_of_whole_pixels_up_to_an_eighth_and_zeros_come_in():
    pictures = pictures_of(3, (16, 24))
    chances = torch.tensor([[0.0, 0.5], [0.999, 0.0], [0.5, 0.999]])  # rows by -2, 0, 2; columns by 0, -3, 3
    shifted = translated(pictures, chances)
    up, left_down, right = torch.zeros(3, 3, 16, 24, dtype=torch.float64).unbind(0)
    up[:, :-2] = pictures[0, :, 2:]
    left_down[:, 2:, :-3] = pictures[1, :, :-2, 3:]
    right[:, :, 3:] = pictures[2, :, :, :-3]
    assert torch.equal(shifted, torch.stack([up, left_down, right]))


def test_a_rectangle_of_half_of_each_side_is_cut_out():
    ones = torch.ones(4, 1, 16, 24)
    chances = torch.tensor([[0.5, 0.5], [0.0, 0.5], [0.999, 0.999], [0.3, 0.8]])
    cut = 1 - cut_out(ones, chances)
    assert cut[:3].sum(dim=(1, 2, 3)).tolist() == [8 * 12, 4 * 12, 4 * 6]  # whole; half outside; a quarter left inside
    assert cut[0, 0, 4:12, 6:18].all()
    assert cut[2, 0, 12:, 18:].all()


def test_seeds_and_stream_decide_the_changes_and_gradients_go_through():
    pictures, seeds, names = pictures_of(), torch.tensor([3, 9, 3, 4]), ("colour", "translation", "cutout")
    changed = diff_augment(pictures, names, seeds, 2)
    assert diff_augment(pictures, (), seeds, 2) is pictures
    assert torch.equal(changed[1:], diff_augment(pictures[1:], names, seeds[1:], 2))
    assert not torch.equal(changed, diff_augment(pictures, names, seeds, 3))
    same = diff_augment(pictures[:1].expand(4, -1, -1, -1), names, seeds, 2)
    assert torch.equal(same[0], same[2])
    assert not torch.equal(same[0], same[1])
    small = pictures_of(2, (4, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: diff_augment(x, names, seeds[:2], 2), (small,))


class Sees(nn.Module):
    """A linear discriminator that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3 * 16 * 16,), 0.1))
        self.seen: list[tuple[Tensor, ...]] = []

    def forward(self, pictures: Tensor, *condition: Tensor) -> Tensor:
        self.seen.append((pictures.detach(), *condition))
        return pictures.flatten(1) @ self.weight[:, None]


def taught(fake: Tensor, shape: Shape, **tricks: object) -> tuple[System, Sees]:
    judge = Sees()
    return pair(PairSection(**tricks), shape, Fixed(fake), judge, Published()), judge


def steps(system: System, batch: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    return [phase.terms(system.networks, batch, NOW) for phase in system.phases]


def test_real_and_fake_pictures_are_changed_in_both_steps_each_in_its_own_way():
    fake, real = pictures_of().float() * 0.5, pictures_of().float().flip(0)
    names = ("colour", "translation", "cutout")
    system, judge = taught(fake, Shape(None, PHOTO.at((16, 16))), diff_augment=names)
    batch = {"target": real, "seeds": torch.arange(4)}
    steps(system, batch)
    for (shown,), pictures, stream in zip(judge.seen, (fake, real, fake), (FAKES, REALS, MADE), strict=True):
        assert torch.allclose(shown, diff_augment(pictures, names, batch["seeds"], stream), atol=1e-6)
    terms = system.phases[1].terms(system.networks, batch, NOW)
    (gradient,) = torch.autograd.grad(terms["adversarial"], system.networks["generator"].shift)
    assert gradient.abs() > 0  # the generator learns through the changes


# The history


def test_half_of_the_fakes_are_of_past_steps_and_keep_their_condition():
    shape, classes = Shape(None, PHOTO.at((16, 16)), asked=KIND), torch.eye(3)

    class OfClass(nn.Module):
        """Flat pictures, whose value says the class and the step."""

        def __init__(self) -> None:
            super().__init__()
            self.step, self.shift = 0, nn.Parameter(torch.zeros(()))

        def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
            value = (condition.argmax(dim=1) + 10 * self.step) / 100
            return torch.atanh(value)[:, None, None, None].expand(-1, 3, 16, 16) + self.shift

    generator, judge = OfClass(), Sees()
    system = pair(PairSection(history_size=6), shape, generator, judge, Published())
    batch = {"target": torch.zeros(6, 3, 16, 16), "condition": classes[torch.arange(6) % 3], "seeds": torch.arange(6)}
    ages = []
    for step in range(4):
        generator.step, judge.seen = step, []
        steps(system, dict(batch))
        shown, condition = judge.seen[0]
        values = (shown[:, 0, 0, 0] * 100).round()
        assert torch.equal(values % 10, condition.argmax(dim=1).float())
        ages.append([int(step - value // 10) for value in values])
        made, own = judge.seen[2]  # the generator is judged by its fakes of this step
        assert torch.equal((made[:, 0, 0, 0] * 100).round() // 10, torch.full((6,), float(step)))
        assert torch.equal(own, batch["condition"])
    assert ages[0] == [0] * 6
    assert all(sum(age > 0 for age in of_step) == 3 for of_step in ages[1:])
    assert list(system.memories) == ["history"]


# Historical averaging


def test_the_term_is_the_squared_distance_from_the_mean_of_all_weights_so_far():
    torch.manual_seed(0)
    network, average, past = nn.Linear(3, 2), HistoricalAverage(), []
    for _ in range(5):
        with torch.no_grad():
            network.weight.add_(torch.randn(2, 3))
            network.bias.add_(torch.randn(2))
        past.append([p.detach().clone() for p in network.parameters()])
        distance = average.distance(network)
        means = [torch.stack(values).mean(dim=0) for values in zip(*past, strict=True)]
        expected = sum((own - mean).square().sum() for own, mean in zip(past[-1], means, strict=True))
        assert distance.item() == pytest.approx(float(expected), rel=1e-5, abs=1e-9)
        gradients = torch.autograd.grad(distance, list(network.parameters()))
        for gradient, own, mean in zip(gradients, past[-1], means, strict=True):
            assert torch.allclose(gradient, 2 * (own - mean), atol=1e-5)
    state = average.state_dict()
    resumed = HistoricalAverage()
    resumed.load_state_dict(state)
    assert torch.equal(resumed.distance(network), average.distance(network))
    assert state["seen"] == 5


# All together


def rank_main(group: Group, whole: Run, cut: Run) -> None:
    fit(whole, group)
    fit(cut, group, until=2)
    fit(cut, group)


@pytest.fixture(scope="module")
def trained(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Run, Run]]:
    """cGAN with all of them, by the number of ranks: never cut, and cut after the second of three steps."""
    made = {}
    for world in (1, 2):
        folder = tmp_path_factory.mktemp(f"tricks_{world}")
        settings = {"steps": 3, "keep_checkpoints": 3, "learning_rate": 1e-5}
        whole, cut = (run_of("cgan", tiny_shards, folder / name, CGAN, **settings) for name in ("whole", "cut"))
        together(world, folder, rank_main, whole, cut)
        made[world] = whole, cut
    return made


@pytest.mark.parametrize("world", [1, 2])
def test_a_resumed_run_is_exact(trained, world):
    runs = [weights_of(run) for run in trained[world]]
    for key, value in runs[0].items():
        assert torch.equal(value, runs[1][key]), key
    states = [run.checkpoints.last().state()["memories"] for run in trained[world]]
    assert states[0].keys() == {"history", "generator_mean", "discriminator_mean"}
    assert states[0]["history"]["seen"] == 12
    for name in ("generator_mean", "discriminator_mean"):
        assert states[0][name]["seen"] == states[1][name]["seen"] == 3
        for key, mean in states[0][name]["means"].items():
            assert torch.equal(mean, states[1][name]["means"][key]), key


def test_two_ranks_are_one_process(trained):
    states = [trained[world][0].checkpoints.last().state() for world in (1, 2)]
    for phase in ("discriminator", "generator"):
        for index, moments in states[0]["optimizers"][phase]["state"].items():
            one, two = moments["exp_avg"], states[1]["optimizers"][phase]["state"][index]["exp_avg"]
            assert torch.allclose(one, two, rtol=1e-3, atol=1e-5 * max(1e-2, one.abs().max().item())), (phase, index)
    pictures = [state["memories"]["history"]["pictures"] for state in states]
    assert torch.allclose(*pictures, rtol=0, atol=1e-5)


def test_no_step_looks_at_a_value(tiny_shards, tmp_path, monkeypatch):
    run = run_of("cgan", tiny_shards, tmp_path, CGAN)
    feed, watched = Feed(run, run.shape(), Group()), Watched()
    trainer = Trainer(system_of(run), run.train, 10, Group(), feed.prepare)
    take = trainer._take

    def watching(*arguments):
        with watched:
            return take(*arguments)

    monkeypatch.setattr(trainer, "_take", watching)
    for index, inputs in enumerate(feed.inputs(0, 3)):
        trainer.step(index, inputs)
    assert watched.found == []


def test_changes_that_the_target_does_not_allow_are_refused():
    point = Domain(kind="point", mixture=Mixture(centres=((0, 0), (1, 1)), std=0.1))
    with pytest.raises(Fault, match=r"system\.diff_augment: points are not changed"):
        dcgan(DCGANConfig(diff_augment=("cutout",)), Shape(None, point.at((8, 1))))
    labels = Domain(kind="label", classes=("a", "b"), palette=((0, 0, 0), (255, 255, 255)))
    with pytest.raises(Fault, match=r"colour needs pictures in colour; .*train\.labels: colour"):
        cgan(CGANConfig(diff_augment=("colour",)), Shape(None, labels.at((16, 16)), asked=KIND))
    cgan(CGANConfig(diff_augment=("cutout",)), Shape(None, labels.at((16, 16)), asked=KIND))
