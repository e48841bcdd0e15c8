"""A generator against a discriminator from noise: losses, penalties, labels, clipping and order, in closed form."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from pydantic import TypeAdapter, ValidationError
from torch import nn

from components.fragment import take
from components.objectives.adversarial import ADVERSARIAL
from components.objectives.penalties import DRAGANConfig, R1R2Config, penalty
from components.params import parse_params
from components.plan import check_plan
from components.samples.domain import Domain
from components.systems import SystemConfig, build
from components.systems.generation.pair import PairSection, pair
from components.systems.generation.wgan import WGANConfig, wgan
from components.systems.system import Batch, Moment, Published, Shape, System
from components.training.group import Group
from components.training.loop import fit
from tests.systems.test_every_system import SMALL, run_of
from tests.training.helpers import weights_of

ROOT = Path(__file__).parents[2]
PHOTO = Domain(kind="image")
NOW = Moment(0, 10, 0)
VALUES = torch.tensor([-0.6, -0.2, 0.2, 0.6])  # what a picture of one pixel may be
REAL, FAKE = torch.tensor([4, 3, 2, 1]), torch.tensor([1, 1, 3, 5])  # how often each is real, and is made


class Table(nn.Module):
    """A discriminator that is free to say anything of each of the four values."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(len(VALUES)))

    def forward(self, pictures):
        nearest = (pictures[:, :1, 0, 0] - VALUES).abs().argmin(dim=1)
        return self.logits[nearest, None]


class Linear(nn.Module):
    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, pictures):
        return pictures.flatten(1) @ self.weight[:, None]


class Fixed(nn.Module):
    """A generator of given pictures, but for a shift that it may learn."""

    def __init__(self, pictures: torch.Tensor) -> None:
        super().__init__()
        self.before = torch.atanh(pictures)
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, latent):
        return self.before + self.shift


def pixels(counts: torch.Tensor) -> torch.Tensor:
    return VALUES.repeat_interleave(counts)[:, None, None, None].expand(-1, 3, 1, 1)


def of(config: PairSection, discriminator: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> tuple[System, Batch]:
    system = pair(config, Shape(None, PHOTO.at(real.shape[2:])), Fixed(fake), discriminator, Published())
    return system, {"target": real, "seeds": torch.arange(len(real))}


def terms(system: System, name: str, batch: Batch) -> dict[str, torch.Tensor]:
    (phase,) = (phase for phase in system.phases if phase.name == name)
    return phase.terms(system.networks, batch, NOW)


@pytest.mark.parametrize("label", [1.0, 0.9])
@pytest.mark.parametrize("name", ["vanilla", "minimax", "lsgan"])
def test_the_best_discriminator_is_p_over_p_plus_q_times_the_label(name, label):
    system, batch = of(PairSection(adversarial=name, real_label=label), table := Table(), pixels(REAL), pixels(FAKE))
    optimizer = torch.optim.LBFGS(table.parameters(), max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = sum(terms(system, "discriminator", batch).values())
        total.backward()
        return total

    optimizer.step(loss)
    p, q = REAL / REAL.sum(), FAKE / FAKE.sum()
    said = table.logits if name == "lsgan" else table.logits.sigmoid()
    assert torch.allclose(said, label * p / (p + q), atol=1e-4)
    if name != "lsgan" and label == 1:
        middle = (p + q) / 2
        divergence = 0.5 * (p * (p / middle).log() + q * (q / middle).log()).sum()
        assert loss().item() == pytest.approx(2 * math.log(2) - 2 * divergence.item(), abs=1e-5)


def test_label_smoothing_leaves_the_generator_alone():
    values = []
    for label in (1.0, 0.9):
        config = PairSection(real_label=label)
        system, batch = of(config, Linear(torch.ones(3)), pixels(REAL), pixels(FAKE))
        discriminator = sum(terms(system, "discriminator", batch).values()).item()
        values.append((discriminator, terms(system, "generator", batch)["adversarial"].item()))
    assert values[0][0] != values[1][0]
    assert values[0][1] == values[1][1]


@pytest.mark.parametrize("name", ["hinge", "wasserstein", "relativistic"])
def test_a_label_of_a_loss_without_labels_is_refused(name):
    with pytest.raises(
        ValidationError, match=f"real_label goes with adversarial vanilla, minimax.* lsgan; {name} has no"
    ):
        TypeAdapter(SystemConfig).validate_python({"name": "gan", "adversarial": name, "real_label": 0.9})


def test_minimax_falls_silent_where_the_discriminator_is_sure():
    """Where it calls fakes fake, with probability 1 - D, minimax's slope is D and the non-saturating one's 1 - D."""
    for logit in (-6.0, 0.0, 6.0):
        chance = torch.tensor(logit).sigmoid().item()
        for name, slope in (("minimax", chance), ("vanilla", 1 - chance)):
            at = torch.tensor([logit], requires_grad=True)
            ADVERSARIAL[name].generator(at).backward()
            assert at.grad.item() == pytest.approx(-slope, rel=1e-4)


def test_r3gan_of_a_linear_critic_is_its_arithmetic():
    w = torch.tensor([0.5, -1.0, 2.0])
    real, fake = torch.tensor([[0.1, 0.2, 0.3], [-0.5, 0.4, 0.0]]), torch.tensor([[0.0, -0.1, 0.6], [0.7, 0.2, -0.3]])
    maps = [rows[:, :, None, None] for rows in (real, fake)]
    config = PairSection(adversarial="relativistic", penalty=R1R2Config(weight=4.0))
    system, batch = of(config, critic := Linear(w.clone()), *maps)
    apart = [sum(w[i].item() * (fake - real)[n, i].item() for i in range(3)) for n in range(2)]
    said = terms(system, "discriminator", batch)
    assert said["pairs"].item() == pytest.approx(sum(math.log1p(math.exp(d)) for d in apart) / 2, rel=1e-5)
    assert said["penalty"].item() == pytest.approx(4.0 / 2 * (5.25 + 5.25), rel=1e-5)  # |w|² at each side
    fooled = terms(system, "generator", batch)["adversarial"]
    assert fooled.item() == pytest.approx(sum(math.log1p(math.exp(-d)) for d in apart) / 2, rel=1e-5)
    sum(said.values()).backward()
    weights = [1 / (1 + math.exp(-d)) / 2 for d in apart]
    expected = sum(weights[n] * (fake - real)[n] for n in range(2)) + 2 * 4.0 * w
    assert torch.allclose(critic.weight.grad, expected, atol=1e-4)


def test_r1_and_r2_are_each_at_their_own_pictures():
    """With the critic |x|², whose gradient is 2 x."""
    real, fake = torch.full((2, 3, 1, 1), 0.5), torch.full((2, 3, 1, 1), 2.0)
    value = penalty(R1R2Config(weight=3.0), lambda x: x.square().flatten(1).sum(1), real, fake, torch.arange(2))
    assert value.item() == pytest.approx(3.0 / 2 * (4 * 3 * 0.25 + 4 * 3 * 4.0), rel=1e-5)


def test_dragan_of_a_linear_critic_near_real_pictures_alone():
    w = torch.tensor([0.6, 0.0, 0.8]) * 3
    real = pixels(REAL)
    system, batch = of(PairSection(penalty=DRAGANConfig(weight=5)), Linear(w), real, pixels(FAKE))
    assert terms(system, "discriminator", batch)["penalty"].item() == pytest.approx(5 * (3 - 1) ** 2, rel=1e-4)
    seen = []

    def critic(pictures):
        seen.append(pictures.detach())
        return pictures.flatten(1).sum(1)

    many = torch.linspace(-1, 1, 512)[:, None, None, None].expand(-1, 3, 2, 2)
    penalty(DRAGANConfig(), critic, many, torch.full_like(many, 9.0), torch.arange(512))
    away = (seen[0] - many) / many.std(correction=0)
    assert away.min() >= 0
    assert 0.45 < away.max() <= 0.5
    assert away.mean().item() == pytest.approx(0.125, abs=0.01)  # half of two independent halves


def test_the_weights_of_a_critic_stay_within_the_clip(tiny_shards, tmp_path):
    clip = 0.01
    small = SMALL["wgan"] | {"clip": clip}
    whole = wgan(WGANConfig.model_validate({"name": "wgan"} | small), Shape(None, PHOTO.at((32, 32))))
    assert all(p.abs().max() <= clip for p in whole.networks["discriminator"].parameters())
    run = run_of("wgan", tiny_shards, tmp_path, small, steps=3)
    fit(run, Group())
    weights = weights_of(run)
    learned = {f"discriminator.{name}" for name, _ in whole.networks["discriminator"].named_parameters()}
    assert all(weights[name].abs().max() <= clip for name in learned)
    assert any(name.startswith("discriminator.norms") for name in learned)  # BatchNorm's, too
    assert any(weights[name].abs().max() == torch.tensor(clip) for name in learned)  # and some were held
    assert any(weights[name].abs().max() > clip for name in weights if name.startswith("generator."))


@pytest.mark.parametrize("name", ["sn_gan", "wgan"])
def test_five_steps_of_the_critic_for_one_of_the_generator(name):
    system = build(TypeAdapter(SystemConfig).validate_python({"name": name}), Shape(None, PHOTO.at((32, 32))))
    due = [[phase.name for phase in system.phases if phase.takes_place(Moment(step, 10, 0))] for step in range(6)]
    assert due == [["generator", "discriminator"], *([["discriminator"]] * 4), ["generator", "discriminator"]]


@pytest.mark.parametrize("num_critic", [1, 2])
def test_the_generator_learns_from_the_fakes_just_seen_or_from_its_own(num_critic):
    values = {"name": "wgan", "latent": 8, "num_critic": num_critic, "networks": {"name": "convolutions", "width": 4}}
    system = build(TypeAdapter(SystemConfig).validate_python(values), Shape(None, PHOTO.at((32, 32))))
    seen: list[torch.Tensor] = []
    system.networks["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    batch = {"target": torch.rand(4, 3, 32, 32), "seeds": torch.arange(4)}
    for phase in system.phases:
        phase.terms(system.networks, batch, NOW)
    fakes = [pictures for pictures in seen if not torch.equal(pictures, batch["target"])]
    assert len(seen) == 3
    assert len(fakes) == 2  # one of each phase
    assert torch.allclose(*fakes) == (num_critic == 1)
    assert batch["fake"].requires_grad == (num_critic == 1)


def test_a_spectral_norm_is_a_param_of_every_pair():
    shape = Shape(None, PHOTO.at((32, 32)))
    plain, normal = (
        build(TypeAdapter(SystemConfig).validate_python({"name": "dcgan", "width": 4, "spectral": spectral}), shape)
        for spectral in (False, True)
    )
    assert plain.num_parameters() == normal.num_parameters()
    layers = [m for m in normal.networks["discriminator"].modules() if isinstance(m, nn.Conv2d)]
    for layer in layers:
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0].item() == pytest.approx(1, abs=0.1)
    assert not any("parametrizations" in name for name, _ in normal.networks["generator"].named_modules())


# Parameters in thousands of the files of configs/papers, at the size that each was published for.
PAPERS = {
    "gan": (28, (2_504 + 1_883, 1_231 + 1_882)),
    "dcgan": (64, (18_855, 17_233)),
    "lsgan": (128, (19_526, 4_340)),
    "wgan": (64, (3_577, 2_766)),
    "wgan_gp": (32, (1_204, 1_054)),
    "dragan": (28, (316, 301)),
    "sn_gan": (32, (4_277, 1_054)),
    "r3gan": (32, (20_732, 20_684)),
    "began": (64, (1_717, 13_405)),
    "ebgan": (64, (12_658, 1_318)),
    "d2gan": (32, (4_927, 4_115, 4_115)),
    "mgan": (32, (12_544, 4_197)),
    "unrolled_gan": (28, (288, 2)),
    "lapgan": (32, (2_262, 483, 113, 129)),
    "stacked_gan": (32, (1_032, 808 + 5_367, 426, 1_066)),
    "pg_gan": (1024, (23_079, 23_087)),
    "style_gan": (1024, (26_220, 23_087)),
}
TEN = Domain(kind="category", classes=tuple("0123456789"))


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_files_make_the_papers_networks(name):
    size, thousands = PAPERS[name]
    params = taken(f"systems/{name}", f"papers/{name}")
    with torch.device("meta"):
        system = build(params.system, Shape(None, PHOTO.at((size, size)), asked=TEN))
    assert tuple(round(count / 1000) for count in system.num_parameters().values()) == thousands


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs/systems").glob("*.yaml")))
def test_every_example_is_a_plan_that_holds(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_plan(taken(f"systems/{name}"))


def taken(*names: str):
    defaults = text = (ROOT / "configs/default.yaml").read_text(encoding="utf-8")
    for name in names:
        text, _ = take(text, (ROOT / f"configs/{name}.yaml").read_text(encoding="utf-8"), defaults, name)
    return parse_params(yaml.safe_load(text), names[-1])
