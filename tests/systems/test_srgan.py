"""SRResNet and SRGAN: the published networks, both stages of a run on each side of the change, refused sizes."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from components.faults import Fault
from components.networks.lite0 import Lite0Layers
from components.networks.srresnet import SRDiscriminator, SRResNet, enlarged
from components.params import parse_params
from components.plan import check_plan
from components.samples.domain import Domain
from components.systems import build
from components.systems.system import Moment, Shape
from components.systems.translation.srgan import SRGANConfig, in_resnet, scale_of, srgan
from components.training.run import Run
from tests.reliability.ranks import together
from tests.staged import fit_whole_and_cut, weights_after
from tests.systems.test_every_system import SMALL, run_of
from tests.systems.test_pairs import taken
from tests.training.helpers import weights_of

STEPS, CHANGE = 4, 2
# Without a norm, before which the gradient of a bias is nothing but rounding.
UNNORMED = {"norm": "none", "init": "kaiming"}
SYSTEM = SMALL["srgan"] | UNNORMED | {"resnet_share": CHANGE / STEPS}
SYSTEM |= {"discriminator": {"width": 4, "units": 8} | UNNORMED}
CUTS = (CHANGE - 1, CHANGE, CHANGE + 1)
SHAPE = Shape(*(Domain(kind="image", size=(side, side)) for side in (8, 16)))


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def pictures(count: int) -> dict[str, Tensor]:
    """Sources and their targets, twice as large."""
    return {name: torch.rand(count, 3, side, side) * 2 - 1 for name, side in (("source", 8), ("target", 16))}


def test_the_networks_have_the_published_counts():
    assert count(SRResNet(3, 3, 4)) == 1_549_462
    assert count(SRResNet(3, 3, 2)) == 1_549_462 - (64 * 256 * 9 + 256 + 1)
    assert count(SRDiscriminator(3, (96, 96))) == 23_565_505


def test_the_papers_file_makes_the_papers_networks():
    config = taken("systems/srgan", "papers/srgan").system
    with torch.device("meta"):
        system = build(config, Shape(*(Domain(kind="image", size=(side, side)) for side in (24, 96))))
    assert system.num_parameters() == {"generator": 1_549_462, "discriminator": 23_565_505}
    assert config == SRGANConfig()


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_pictures_of_any_size_are_enlarged(scale):
    made = SRResNet(5, 3, scale, width=4, blocks=1)(torch.rand(2, 5, 7, 10))
    assert made.shape == (2, 3, 7 * scale, 10 * scale)
    assert SRDiscriminator(3, made.shape[2:], 4, 8)(made).shape == (2, 1)


def test_every_weight_learns():
    made = SRResNet(3, 3, 2, width=4, blocks=1)(torch.rand(2, 3, 8, 8))
    judge = SRDiscriminator(3, (16, 16), 4, 8)
    judge(made).sum().backward()
    assert all(p.grad is not None for p in judge.parameters())


def test_a_residual_network_begins_at_bicubic_interpolation():
    """Whose values at a doubling are those of the cubic kernel with a = -0.75 at distances of 1/4 and 3/4."""
    system = srgan(SRGANConfig(width=4, blocks=1, residual=True), SHAPE)
    source = torch.rand(2, 3, 8, 8) * 2 - 1
    assert torch.equal(system.networks["generator"](source), enlarged(source, 2))
    network = SRResNet(1, 1, 2, 4, 1, residual=True)
    network.start_small()
    row = torch.tensor([0.0, 0, 0, 1, 0, 0, 0]).expand(1, 1, 7, 7)
    near, far = (
        1.25 * 0.25**3 - 2.25 * 0.25**2 + 1,
        1.25 * 0.75**3 - 2.25 * 0.75**2 + 1,
    )
    beyond = [-0.75 * (d**3 - 5 * d**2 + 8 * d - 4) for d in (1.25, 1.75)]
    expected = torch.tensor([0, 0, beyond[1], beyond[0], far, near, near, far, beyond[0], beyond[1], 0, 0])
    torch.testing.assert_close(network(row)[0, 0, 7, 1:13], expected.detach(), atol=1e-6, rtol=0)


def test_blocks_without_a_norm_begin_as_the_identity():
    network = srgan(SRGANConfig(width=4, blocks=2, norm="none", resnet_share=1), SHAPE).networks["generator"]
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(network.blocks[:2](x), x)
    normed = srgan(SRGANConfig(width=4, blocks=2, resnet_share=1), SHAPE).networks["generator"]
    assert not torch.equal(normed.blocks[:2](x), x)


def test_the_first_stage_is_the_squared_error_and_the_second_adds_the_adversary():
    torch.manual_seed(0)
    config = SRGANConfig(width=4, blocks=1, resnet_share=0.5, lambda_content=2, lambda_adversarial=0.25)
    system = srgan(config, SHAPE)
    batch = pictures(4)
    first, discriminator, generator = system.phases
    at = [[phase.name for phase in system.phases if phase.takes_place(Moment(step, 9, 0))] for step in range(9)]
    assert at == [["resnet"]] * 4 + [["discriminator", "generator"]] * 5
    made = system.networks["generator"](batch["source"])
    mse = F.mse_loss(made, batch["target"])
    assert first.terms(system.networks, batch, Moment(0, 9, 0)) == {"mse": mse}
    told = discriminator.terms(system.networks, batch, Moment(4, 9, 0))
    logits = [system.networks["discriminator"](pictures) for pictures in (made, batch["target"])]
    torch.testing.assert_close(told["fake"], F.softplus(logits[0]).mean())
    torch.testing.assert_close(told["real"], F.softplus(-logits[1]).mean())
    terms = generator.terms(system.networks, batch, Moment(4, 9, 0))
    torch.testing.assert_close(terms["content"], 2 * mse)
    torch.testing.assert_close(terms["adversarial"], 0.25 * F.softplus(-logits[0]).mean())


def test_the_content_may_be_that_of_features():
    torch.manual_seed(0)
    features = {"name": "efficientnet_lite0"}
    config = SRGANConfig(width=4, blocks=1, resnet_share=0, features=features, layer="block3", lambda_content=0.5)
    system = srgan(config, SHAPE)
    batch = pictures(2)
    batch["fake"] = system.networks["generator"](batch["source"])
    found = system.phases[1].terms(system.networks, batch, Moment(0, 9, 0))["content"]
    network = Lite0Layers().eval()
    made, real = (network(pictures, ("block3",))["block3"] for pictures in (batch["fake"], batch["target"]))
    torch.testing.assert_close(found, 0.5 * (made - real).square().mean())
    found.backward()
    assert system.networks["generator"].first[0].weight.grad.abs().sum() > 0
    with pytest.raises(Fault, match=r"system\.features: efficientnet_lite0 has no layer relu5_4"):
        srgan(config.model_copy(update={"layer": "relu5_4"}), SHAPE)
    with pytest.raises(ValidationError, match="give both, or neither"):
        SRGANConfig(layer="block3")


def test_a_share_of_one_is_srresnet_alone_and_of_zero_is_srgan_alone():
    alone, without = (srgan(SRGANConfig(width=4, blocks=1, resnet_share=share), SHAPE) for share in (1, 0))
    assert set(alone.networks) == {"generator"}
    assert [phase.name for phase in alone.phases] == ["resnet"]
    assert [phase.name for phase in without.phases] == ["discriminator", "generator"]
    batch = pictures(2)
    assert list(alone.validation(alone.networks, batch)) == ["mse"]
    assert next(iter(without.validation(without.networks, batch))) == "distance"


def test_published_steps_divide_as_published():
    paper = SRGANConfig()
    assert in_resnet(paper, Moment(999_999, 1_200_000, 0))
    assert not in_resnet(paper, Moment(1_000_000, 1_200_000, 0))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ((32, 32), (16, 16), "larger: the source is 32x32 and the target 16x16"),
        ((16, 32), (32, 16), "larger: the source is 16x32"),
        ((16, 16), (40, 40), "no multiples"),
        ((16, 16), (48, 48), "3 times as large, which is no power of two"),
        ((16, 16), (32, 64), "2 times as high and 4 as wide"),
    ],
)
def test_sizes_that_no_doubling_joins_are_refused(low, high, said):
    with pytest.raises(Fault, match=said):
        scale_of(low, high)


def test_scales_are_powers_of_two():
    assert [scale_of((8, 12), (8 * scale, 12 * scale)) for scale in (1, 2, 4, 8)] == [1, 2, 4, 8]


def test_targets_that_are_not_in_colour_are_refused():
    labels = Domain(kind="label", size=(16, 16), classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1)))
    with pytest.raises(Fault, match="makes pictures in colour"):
        srgan(SRGANConfig(), Shape(SHAPE.source, labels))
    with pytest.raises(Fault, match=r"system\.residual: .* train\.labels"):
        srgan(SRGANConfig(residual=True), Shape(labels, SHAPE.target))


@pytest.mark.parametrize(
    ("size", "factor", "said"),
    [
        (48, 3, "3 times as large, which is no power of two"),
        (16, 4, "photo has 16 .* at least 19"),
        (64, 5, "factor: 5 does"),
    ],
)
def test_params_of_other_sizes_are_refused_before_anything_runs(size, factor, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = taken("systems/srgan").model_dump(mode="json", by_alias=True)
    values["shard"]["cut"]["image_size"] = size
    values["shard"]["derive"]["small"]["factor"] = factor
    with pytest.raises(Fault, match=said):
        check_plan(parse_params(values, "params.yaml"))


@pytest.fixture(scope="module")
def trained(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Run, list[Run]]]:
    """By the number of ranks: the run that was never cut, and one cut at each side of the change of stage."""
    made = {}
    for world in (1, 2):
        folder = tmp_path_factory.mktemp(f"srgan_{world}")
        whole, *cuts = (
            run_of(
                "srgan",
                tiny_shards,
                folder / str(name),
                SYSTEM,
                steps=STEPS,
                keep_checkpoints=STEPS,
            )
            for name in ("whole", *CUTS)
        )
        together(world, folder, fit_whole_and_cut, whole, cuts, CUTS)
        made[world] = whole, cuts
    return made


@pytest.mark.parametrize("world", [1, 2])
def test_a_resume_at_each_side_of_the_change_is_exact(trained, world):
    whole, cuts = trained[world]
    for run in cuts:
        for key, value in weights_of(whole).items():
            assert torch.equal(value, weights_of(run)[key]), (run.folder, key)


def test_two_ranks_are_one_process(trained):
    for step in (1, CHANGE, CHANGE + 1):
        one, two = (weights_after(trained[world][0], step) for world in (1, 2))
        for key, value in one.items():
            assert torch.allclose(value, two[key], rtol=1e-3, atol=2e-4), (step, key)


def test_the_discriminator_rests_until_the_change(trained):
    whole, _ = trained[2]
    key = "discriminator.judged.0.weight"
    assert torch.equal(weights_after(whole, 1)[key], weights_after(whole, CHANGE)[key])
    assert not torch.equal(weights_after(whole, CHANGE)[key], weights_after(whole, CHANGE + 1)[key])
    states = {c.step: c.state()["optimizers"] for c in whole.checkpoints.all()}
    steps = {name: {int(s["step"]) for s in state["state"].values()} for name, state in states[STEPS].items()}
    assert steps == {"resnet": {CHANGE}, "discriminator": {STEPS - CHANGE}, "generator": {STEPS - CHANGE}}
