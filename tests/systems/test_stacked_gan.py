"""Stacked GAN: the published networks, its stages on each side of every change, what each level learns from."""

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from components.faults import Fault
from components.networks.stacked_gan import Encoder, FeatureDiscriminator, PictureDiscriminator, StackedGenerator
from components.samples.domain import Domain
from components.systems.generation.stacked_gan import StackedGANConfig, passed, stacked_gan, stage_of
from components.systems.system import Given, Moment, Shape, System
from components.training.run import Run
from tests.reliability.ranks import together
from tests.staged import fit_whole_and_cut, weights_after
from tests.systems.test_every_system import SMALL, gradient_after_one_step, run_of
from tests.training.helpers import weights_of

STEPS, CHANGES = 6, (2, 4)  # two steps of each stage
# Without a norm, before which the gradient of a bias is nothing but rounding.
SYSTEM = SMALL["stacked_gan"] | {"norm": "none", "encoder_share": 1 / 3, "independent_share": 1 / 3}
# A low rate, so that what ranks round otherwise stays small from step to step.
TRAIN = {"steps": STEPS, "keep_checkpoints": STEPS, "learning_rate": 1e-5}
CUTS = (1, 2, 3, 4, 5)
PHOTO, KIND = Domain(kind="image"), Domain(kind="category", classes=tuple("abc"))
NETWORKS = ("encoder", "generator", "feature_discriminator", "picture_discriminator")


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def small(**settings) -> System:
    torch.manual_seed(0)
    quiet = {"noise_features": 0, "noise_pictures": 0, "dropout": 0, "norm": "none"}
    return stacked_gan(
        StackedGANConfig(**({"width": 4, "latent": 5} | quiet | settings)), Shape(None, PHOTO.at((16, 16)), asked=KIND)
    )


def batch_of(count: int = 6) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    pictures = torch.rand(count, 3, 16, 16, generator=random) * 2 - 1
    return {"target": pictures, "condition": torch.eye(3)[torch.arange(count) % 3], "seeds": torch.arange(count)}


def test_the_networks_have_the_published_counts():
    size = (32, 32)
    assert count(Encoder(3, size, 64, 10)) == 1_031_818
    generator = StackedGenerator((50, 16), 3, size, 64, "batch", 10)
    assert (count(generator.top), count(generator.bottom)) == (808_192, 5_367_171)
    assert count(FeatureDiscriminator(50, 64, "batch", 10, 0.2)) == 425_532
    assert count(PictureDiscriminator(16, 3, size, 64, "batch", 10, 0.05, 0.3)) == 1_066_010


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (32, 48)])
def test_pictures_have_the_size_that_is_asked(size):
    made = StackedGenerator((5, 3), 3, size, 4, "batch", 3)(torch.rand(2, 8), torch.eye(3)[:2])
    assert made.shape == (2, 3, *size)
    assert Encoder(3, size, 4, 3).features(made).shape == (2, 16)
    classes, latent = PictureDiscriminator(3, 3, size, 4, "batch", 3, 0.1, 0.1)(made)
    assert (classes.shape, latent.shape) == ((2, 3), (2, 3))


def test_stages_are_shares_of_the_run_and_functions_of_the_step():
    config = StackedGANConfig(encoder_share=0.2, independent_share=0.5)
    assert [stage_of(config, Moment(step, 10, 0))[0] for step in range(10)] == [*"eeiiiiijjj"]
    due = [
        [phase.name for phase in small().phases if phase.takes_place(Moment(step, 20, 0))] for step in (1, 2, 10, 11)
    ]
    assert due == [
        ["encoder"],
        ["independent_discriminator", "independent_generator"],
        ["independent_discriminator", "independent_generator"],
        ["joint_discriminator", "joint_generator"],
    ]
    assert [p.name[:5] for p in small(independent_share=0).phases] == ["encod", "joint", "joint"]
    assert [p.name[:5] for p in small(encoder_share=0.5, independent_share=0.5).phases] == ["encod", "indep", "indep"]
    with pytest.raises(ValidationError, match="together 1 or less"):
        StackedGANConfig(encoder_share=0.6, independent_share=0.5)


def terms_of(system: System, stage: str, batch: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Those of the discriminators and of the generators."""
    both = [phase for phase in system.phases if phase.name.startswith(stage)]
    first, second = (phase.terms(system.networks, batch, Moment(0, 10, 0)) for phase in both)
    return first, second


def gradients(terms: dict[str, Tensor], names: tuple[str, ...], parameters: list[nn.Parameter]) -> list[Tensor | None]:
    total = torch.stack([terms[name] for name in names]).sum()
    return list(torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True))


LOWER = ("adversarial_picture", "condition_picture", "entropy_picture")
UPPER = ("adversarial_feature", "condition_feature", "entropy_feature")


def test_independently_each_generator_learns_from_its_own_level_alone():
    system, batch = small(), batch_of()
    _, terms = terms_of(system, "independent", batch)
    top, bottom = (list(part.parameters()) for part in system.networks["generator"].children())
    assert set(terms) == {*UPPER, *LOWER}
    assert all(g is None for g in gradients(terms, LOWER, top) + gradients(terms, UPPER, bottom))
    assert all(g is not None for g in gradients(terms, UPPER, top) + gradients(terms, LOWER, bottom))
    assert torch.equal(batch["given"], system.networks["encoder"].features(batch["target"]))  # real features


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_jointly_a_share_of_the_lower_loss_reaches_the_upper_generator(share):
    results = {}
    for part in (share, 1):
        system, batch = small(joint_share=part), batch_of()
        _, terms = terms_of(system, "joint", batch)
        top, bottom = (list(half.parameters()) for half in system.networks["generator"].children())
        results[part] = [gradients(terms, LOWER, own) for own in (top, bottom)], batch
    (upper, lower), batch = results[share]
    (whole_upper, whole_lower), _ = results[1]
    assert all(torch.allclose(a, share * b, rtol=1e-4, atol=1e-8) for a, b in zip(upper, whole_upper, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(lower, whole_lower, strict=True))
    assert torch.equal(batch["given"], batch["feature_fake"])  # the value is all of it
    assert torch.equal(passed(batch["given"], 0.3), batch["given"])


def test_losses_are_their_closed_forms_where_discriminators_say_nothing():
    """With logits of 0 for each of three classes, a picture's own logit is log 3, and no latent is recovered."""
    system, batch = small(lambda_entropy=2), batch_of()
    with torch.no_grad():
        for level in ("feature", "picture"):
            for layer in (
                system.networks[f"{level}_discriminator"].head,
                system.networks[f"{level}_discriminator"].recovers,
            ):
                layer.weight.zero_()
                layer.bias.zero_()
    first, second = terms_of(system, "independent", batch)
    for level in ("feature", "picture"):
        squares = batch[f"{level}_latent"].square().mean().item()
        expected = {
            "real": 0.5 * math.log(1 + 1 / 3),
            "fake": 0.5 * math.log(1 + 3),
            "class": math.log(3),
            "entropy": 2 * squares,
        }
        assert {name: first[f"{name}_{level}"].item() for name in expected} == pytest.approx(expected)
        assert second[f"adversarial_{level}"].item() == pytest.approx(math.log(1 + 1 / 3))
        assert second[f"entropy_{level}"].item() == pytest.approx(2 * squares)
    # The published weight of 10, of latents from 0 to 1: (z + 1) / 2.
    assert 10 * (batch["picture_latent"] / 2).square().mean() == pytest.approx(2.5 * squares)
    made = system.networks["encoder"].features(batch["picture_fake"])
    assert second["condition_picture"].item() == pytest.approx((made - batch["given"]).square().mean().item())


def test_latent_and_class_decide_the_picture():
    system = small()
    run, generator = system.uses["generator"].run, system.networks["generator"]
    one, again, other_class, other_seed = (
        run(generator, Given(torch.tensor([seed]), condition=torch.eye(3)[kind : kind + 1]))
        for seed, kind in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other_class)
    assert not torch.equal(one, other_seed)


@pytest.fixture(scope="module")
def trained(tiny_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Run, list[Run]]]:
    """By the number of ranks: the run that was never cut, and one cut at and on each side of both changes."""
    made = {}
    for world in (1, 2):
        folder = tmp_path_factory.mktemp(f"stacked_{world}")
        whole, *cuts = (
            run_of("stacked_gan", tiny_shards, folder / str(name), SYSTEM, **TRAIN) for name in ("whole", *CUTS)
        )
        together(world, folder, fit_whole_and_cut, whole, cuts, CUTS)
        made[world] = whole, cuts
    return made


@pytest.mark.parametrize("world", [1, 2])
def test_a_resume_at_each_side_of_every_change_is_exact(trained, world):
    whole, cuts = trained[world]
    for run in cuts:
        for key, value in weights_of(whole).items():
            assert torch.equal(value, weights_of(run)[key]), (run.folder, key)


def test_two_ranks_are_one_process_at_the_first_step_of_each_stage(trained):
    """There the moments are new, and so are the gradients of that step but for a factor."""
    for step, stage in ((0, "encoder"), (CHANGES[0], "independent"), (CHANGES[1], "joint")):
        one, two = (gradients_at(trained[world][0], step + 1, stage) for world in (1, 2))
        assert one.keys() == two.keys()
        for place, gradient in one.items():
            scale = max(1e-3, gradient.abs().max().item())
            assert torch.allclose(gradient, two[place], rtol=1e-3, atol=1e-4 * scale), (stage, place)


def gradients_at(run: Run, step: int, stage: str) -> dict[tuple[str, int], Tensor]:
    """By optimizer and parameter, of the optimizers of a stage."""
    optimizers = next(checkpoint for checkpoint in run.checkpoints.all() if checkpoint.step == step).state()[
        "optimizers"
    ]
    found = {
        (name, index): gradient_after_one_step(state)
        for name, optimizer in optimizers.items()
        if name.startswith(stage)
        for index, state in optimizer["state"].items()
    }
    assert found
    return found


def test_what_learns_in_each_stage(trained):
    whole, _ = trained[1]
    moved = []
    for step in range(1, STEPS):
        before, after = weights_after(whole, step), weights_after(whole, step + 1)
        moved.append({key.split(".")[0] for key in before if not torch.equal(before[key], after[key])} - {"ema"})
    assert moved == [{"encoder"}, *[set(NETWORKS[1:])] * 4]
    states = whole.checkpoints.last().state()["optimizers"]
    steps = {name: {int(s["step"]) for s in state["state"].values()} for name, state in states.items()}
    assert steps == {name: {2} for name in states}  # each stage begins with new moments
    assert len(states) == 5


def test_sizes_that_cannot_be_halved_and_tasks_without_a_class_are_refused():
    for size in ((30, 32), (12, 12)):
        with pytest.raises(Fault, match=r"must be multiples of 4|needs sides of 16 or more"):
            stacked_gan(StackedGANConfig(width=4), Shape(None, PHOTO.at(size), asked=KIND))
    with pytest.raises(Fault, match="needs a condition, and the task has none"):
        stacked_gan(StackedGANConfig(width=4), Shape(None, PHOTO.at((32, 32))))
