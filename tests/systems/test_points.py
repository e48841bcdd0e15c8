"""Systems from noise on points: two steps and a resume, two ranks, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from components.faults import Fault
from components.fragment import take
from components.networks.points import PointHeads
from components.params import Params, load_params
from components.plan import check_plan
from components.samples.domain import Domain
from components.shards.config import ShardConfig
from components.shards.writer import write_shards
from components.sources.points import PointsConfig, PointsCut, fetch_points, open_points
from components.systems import SystemConfig, build
from components.systems.generation.point_networks import point_networks
from components.systems.system import Batch, Moment, Shape
from components.training.config import TrainConfig
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run, plan
from tests.test_graph import SMALL
from tests.test_points import POINTS, STILL
from tests.training.helpers import weights_of
from tests.training.test_parallel import fit_on

ROOT = Path(__file__).parents[2]
SYSTEMS = ("gan", "dcgan", "lsgan", "wgan", "wgan_gp", "dragan", "sn_gan", "r3gan", "d2gan", "unrolled_gan", "mgan")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 train, 8 val and 8 test points of the ring."""
    folder = tmp_path_factory.mktemp("points")
    fetch_points(PointsConfig(), folder / "raw", folder / "cache")
    source = open_points(folder / "raw", PointsCut(train=48, val=8, test=8))
    write_shards(source, folder / "shards", ShardConfig(num_workers=1, samples_per_shard=16))
    return folder / "shards"


AUTOENCODERS = {"began": 1, "ebgan": 16}  # with so many values between encoder and decoder


def run_of(name: str, shards: Path, root: Path, **train: Any) -> Run:
    """A run of a system on the ring, of two steps unless told otherwise."""
    config = TypeAdapter(SystemConfig).validate_python({"name": name, "latent": 8})
    settings = {"steps": 2, "batch_size": 16, "checkpoint_every": 1, "ema": 0.9, "augment": STILL}
    return plan(config, TrainConfig(**(settings | train)), shards, root)


@pytest.mark.parametrize("name", [*SYSTEMS, *AUTOENCODERS])
def test_two_steps_on_points_are_one_and_a_resumed_one(shards, tmp_path, name):
    whole, cut = (run_of(name, shards, tmp_path / part) for part in ("whole", "cut"))
    fit(whole, Group())
    fit(cut, Group(), until=1)
    first = weights_of(cut)
    fit(cut, Group())
    one, two = weights_of(whole), weights_of(cut)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(first[key], two[key]) for key in two)
    parameters = build(whole.system, whole.shape()).num_parameters()
    heads = 8 if name == "mgan" else 1
    assert parameters.pop("generator") == heads * (8 * 128 + 128) + 128 * 129 + 258
    if name in AUTOENCODERS:
        code = AUTOENCODERS[name]
        assert parameters == {"discriminator": (3 + 129 + code) * 128 + code + (code + 1 + 129) * 128 + 2 * 129}
        return
    outputs = 1 + heads if name == "mgan" else 1
    assert set(parameters.values()) == {3 * 128 + 128 * 129 + outputs * 129}  # of each discriminator


def test_a_discriminator_of_points_that_rebuilds_them_tells_them_by_it():
    shape = Shape(None, Domain(kind="point", mixture=PointsCut().mixtures()["point"]))
    batch: Batch = {"target": torch.randn(16, 2, 1, 1), "seeds": torch.arange(16)}
    for name, code in AUTOENCODERS.items():
        torch.manual_seed(0)
        config = TypeAdapter(SystemConfig).validate_python({"name": name, "latent": 8})
        system = build(config, shape)
        judge = system.networks["discriminator"]
        assert judge.encoder(batch["target"]).shape == (16, code)
        terms = system.phases[0].terms(system.networks, batch, Moment(0, 10, 0))
        off = judge.decoder(judge.encoder(batch["target"])) - batch["target"]
        expected = off.abs().mean() if name == "began" else off.flatten(1).norm(dim=1).mean()
        assert terms["real"].item() == pytest.approx(expected.item(), rel=1e-5)
        made = system.phases[1].terms(system.networks, batch, Moment(0, 10, 0))
        sum(made.values()).backward()
        assert all(float(p.grad.abs().sum()) > 0 for p in system.networks["generator"].parameters())


def test_mgans_heads_make_the_points_that_the_prior_asks_of_them():
    torch.manual_seed(0)
    for normal in (True, False):
        generator = PointHeads(4, 3, width=8, depth=2, normal=normal)
        latent = torch.randn(5, 3) if normal else 2 * torch.rand(5, 3) - 1
        every = generator.of_every_head(latent).view(4, 5, 2, 1, 1)
        quarters = torch.tensor([-0.9, -0.3, 0.3, 0.9])  # of either prior: a value in each quarter
        for head, value in enumerate(quarters):
            chosen = torch.cat([latent, value.expand(5, 1)], dim=1)
            assert torch.allclose(generator(chosen), every[head], atol=1e-6)
        assert len(torch.unique(every.flatten(2), dim=0)) == 4


def test_two_ranks_take_the_step_of_one_on_points(shards, tmp_path):
    alone, together, still = (
        run_of("dcgan", shards, tmp_path / part, steps=1, optimizer="sgd", learning_rate=rate)
        for part, rate in (("one", 1.0), ("two", 1.0), ("still", 1e-12))
    )
    for run in (alone, still):
        fit(run, Group())
    one, two, before = weights_of(alone), fit_on(together, 2), weights_of(still)
    for key in one:
        assert torch.allclose(one[key], two[key], atol=1e-6), key
        assert float((one[key] - before[key]).abs().max()) > 1e-4, key


def test_points_pass_through_the_networks_as_they_are(shards, tmp_path):
    run = run_of("dcgan", shards, tmp_path)
    generator, discriminator = point_networks(run.system)
    points = generator(torch.randn(5, 8))
    assert points.shape == (5, 2, 1, 1)
    assert discriminator(points).shape == (5, 1)
    weight = generator.layers[2].weight
    assert torch.allclose(weight @ weight.T, 0.64 * torch.eye(128), atol=1e-5)  # orthogonal, of gain 0.8


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": POINTS["train"] | {"augment": {}}}, "train.augment: points are not jittered"),
        ({"system": {"name": "pg_gan"}}, "system pg_gan.* the target is points"),
        ({"system": {"name": "lapgan"}}, "system lapgan has networks for pictures alone, and the target is points"),
        ({"system": {"name": "cgan"}}, "cgan needs a condition"),
        ({"system": {"name": "pix2pix"}}, "needs a source to translate"),
    ],
)
def test_what_points_cannot_have_is_refused_at_once(tmp_path, monkeypatch, changed, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Fault, match=said):
        check_plan(Params.model_validate(SMALL | POINTS | changed))


@pytest.mark.parametrize(("shape", "modes"), [("ring", 8), ("grid", 25)])
def test_the_configs_ask_for_what_can_be_trained(tmp_path, monkeypatch, shape, modes):
    monkeypatch.chdir(tmp_path)
    defaults, fragment = (
        (ROOT / path).read_text(encoding="utf-8") for path in ("params.yaml", f"configs/points_{shape}.yaml")
    )
    text, _ = take(defaults, fragment, defaults, f"points_{shape}")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    params = load_params(tmp_path / "params.yaml")
    check_plan(params)
    assert isinstance(params.shard.cut, PointsCut)
    assert len(params.shard.cut.mixtures()["point"].centres) == modes
    assert params.generate.count == 2500
