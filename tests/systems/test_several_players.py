"""D2GAN's two discriminators, MGAN's many generators and Unrolled GAN's steps ahead, in closed form."""

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from components.faults import Fault
from components.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from components.networks.mgan import MGANGenerator, heads_of
from components.networks.noise import latents
from components.networks.unrolled_gan import StackedDiscriminator, StackedGenerator
from components.objectives import dual
from components.objectives.unrolled import unrolled, with_weights
from components.plan import check_plan
from components.samples.domain import Domain
from components.systems import SystemConfig, build
from components.systems.generation.d2gan import D2GANConfig, d2gan
from components.systems.generation.mgan import MGANConfig, mgan
from components.systems.generation.unrolled_gan import UnrolledGANConfig, unrolled_gan
from components.systems.system import Batch, Given, Moment, Shape
from components.training.group import Group
from components.training.loop import fit
from tests.systems.test_every_system import CONVOLUTIONS, run_of
from tests.systems.test_pairs import taken
from tests.training.helpers import weights_of

SHAPE = Shape(None, Domain(kind="image").at((16, 16)))
NOW = Moment(0, 10, 0)
REAL, FAKE = torch.tensor([4, 3, 2, 1]), torch.tensor([1, 1, 3, 5])  # how often each of four values is real, is made


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_d2gan_has_the_counts_of_dcgan_at_its_size():
    """The paper gives no counts; these are of the layers 512-256-128-3 and 128-256-512-1, with kernels of 5."""
    shared = ((32, 32), 128, 5, "batch", 0)
    start, layers = 100 * 512 * 16 + 2 * 512, 512 * 256 * 25 + 256 * 128 * 25 + 128 * 3 * 25 + 2 * (256 + 128)
    assert count(DCGANGenerator(100, 3, *shared)) == start + layers == 4_926_592
    assert count(DCGANDiscriminator(3, *shared)) == layers + 2 * 512 - 2 * 128 + 512 * 16 == 4_115_328


def test_mgan_has_the_published_counts():
    """Those of the authors' layers: a head has 843,776. Their last layers have biases that these do not, 3 and 11, and
    their discriminator normalises its first layer too."""
    generator = MGANGenerator(10, 100, 3, (32, 32), 128, 5, "batch", normal=False)
    assert {count(head) for head in generator.heads} == {843_776}
    assert count(generator) == 10 * 843_776 + 4_106_371 - 3
    assert count(DCGANDiscriminator(3, (32, 32), 128, 5, "batch", 0, outputs=11)) == 4_115_328 + 10 * 512 * 16


def test_unrolled_gan_has_the_published_counts():
    assert count(StackedGenerator(256, 3, (28, 28), 8, "batch")) == 287_875
    assert count(StackedDiscriminator(3, (28, 28), 2, "batch")) == 585
    assert count(StackedDiscriminator(3, (28, 28), 4, "batch")) == 1_889


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (30, 33)])
def test_the_stacked_networks_take_any_size(size):
    pictures = StackedGenerator(5, 3, size, 2, "batch")(torch.rand(2, 5))
    assert pictures.shape == (2, 3, *size)
    assert StackedDiscriminator(3, size, 2, "batch")(pictures).shape == (2, 1)


# D2GAN


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.2, 0.5)])
def test_the_best_discriminators_are_the_ratios_of_the_densities(alpha, beta):
    """alpha p/q and beta q/p; and what is then left is the two KL divergences, but for constants."""
    first, second = (torch.zeros(4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    real, fake = (torch.repeat_interleave(torch.arange(4), times) for times in (REAL, FAKE))
    optimizer = torch.optim.LBFGS([first, second], max_iter=500, line_search_fn="strong_wolfe")

    def loss():
        terms = dual.discriminators((first[real], second[real]), (first[fake], second[fake]), alpha, beta)
        return torch.stack([*terms.values()]).sum()

    def closure():
        optimizer.zero_grad()
        loss().backward()
        return loss()

    optimizer.step(closure)
    p, q = REAL / 10, FAKE / 10
    values = [nn.functional.softplus(logits.detach()).float() for logits in (first, second)]
    assert torch.allclose(values[0], alpha * p / q, rtol=1e-3)
    assert torch.allclose(values[1], beta * q / p, rtol=1e-3)
    forward, backward = (p * (p / q).log()).sum().item(), (q * (q / p).log()).sum().item()
    left = alpha * (math.log(alpha) - 1) + beta * (math.log(beta) - 1) + alpha * forward + beta * backward
    assert -loss().item() == pytest.approx(left, abs=1e-5)
    # What the generator minimises are the two of these terms that depend on it, with the opposite sign.
    fakes = dual.generator((first[fake], second[fake]), beta)
    terms = dual.discriminators((first[real], second[real]), (first[fake], second[fake]), alpha, beta)
    assert fakes["adversarial"].item() == pytest.approx(-terms["fake"].item())
    assert fakes["adversarial_second"].item() == pytest.approx(-terms["fake_second"].item())


def test_a_discriminator_that_is_sure_gives_finite_losses_and_gradients():
    far = torch.tensor([-1e4, -200.0, -30.0, -20.0, 0.0, 50.0], requires_grad=True)
    logs = [dual.generator((far.detach(), far[i : i + 1]), 1.0)["adversarial_second"] for i in range(6)]
    torch.stack(logs).sum().backward()
    expected = [-1e4, -200, -30, -20, math.log(math.log(2)), math.log(50)]
    assert [log.item() for log in logs] == pytest.approx(expected, rel=1e-6)
    assert far.grad.isfinite().all()
    assert far.grad[:3].tolist() == [1, 1, 1]


def test_both_discriminators_of_d2gan_start_and_stay_apart(tiny_shards, tmp_path):
    run = run_of("d2gan", tiny_shards, tmp_path)
    fit(run, Group())
    weights = weights_of(run)
    assert not torch.equal(weights["discriminator.end.weight"], weights["second_discriminator.end.weight"])
    system = d2gan(D2GANConfig(latent=4, width=4), SHAPE)
    batch: Batch = {"target": torch.rand(4, 3, 16, 16), "seeds": torch.arange(4)}
    terms = system.phases[0].terms(system.networks, batch, NOW)
    second = list(system.networks["second_discriminator"].parameters())
    # The second one learns from its own two terms, and the first one's do not reach it.
    assert all(g is None for g in torch.autograd.grad(terms["real"], second, retain_graph=True, allow_unused=True))
    assert all(g is not None for g in torch.autograd.grad(terms["fake_second"], second))


# MGAN


def many(**settings):
    torch.manual_seed(0)
    return mgan(MGANConfig(latent=4, width=4, num_heads=2, **settings), SHAPE)


def test_heads_share_all_but_their_first_layer():
    generator = many(norm="none").networks["generator"]
    latent = torch.rand(3, 4)
    made = generator.of_every_head(latent)
    assert made.shape == (6, 3, 16, 16)
    assert not torch.allclose(made[:3], made[3:], atol=1e-6)
    made[:3].sum().backward()
    learned = {name for name, p in generator.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name for name in learned if name.startswith("heads.")} == {"heads.0.0.weight", "heads.0.0.bias"}
    assert {name for name, _ in generator.named_parameters() if not name.startswith("heads.")} <= learned
    with torch.no_grad():  # given the first layer of another, a head makes the other's pictures
        for own, other in zip(generator.heads[0].parameters(), generator.heads[1].parameters(), strict=True):
            own.copy_(other)
    again = generator.of_every_head(latent)
    assert torch.equal(again[:3], again[3:])
    assert torch.allclose(again[3:], made[3:])


@pytest.mark.parametrize("prior", ["uniform", "normal"])
def test_seeds_are_dealt_to_heads_evenly_and_for_good(prior):
    system = many(prior=prior, norm="none")
    generator, use = system.networks["generator"], system.uses["generator"]
    seeds = torch.arange(2000)
    full = latents(seeds, 5, torch.device("cpu"), prior)
    places = heads_of(full[:, -1], 2, prior == "normal")[:, :, 0].argmax(dim=1)
    assert places.float().mean().item() == pytest.approx(0.5, abs=0.04)
    with torch.no_grad():
        made = use.run(generator, Given(seeds[:8]))
        both = torch.tanh(generator.of_every_head(full[:8, :-1])).unflatten(0, (2, 8))
    assert torch.allclose(made, both[places[:8], torch.arange(8)], atol=1e-6)
    assert not torch.allclose(both[0], both[1], atol=1e-6)


def test_the_classifier_is_asked_for_the_head_of_each_fake():
    """With an output that is the head itself, cross entropy is nearly 0; with a constant one it is log 2."""
    system = many(beta=0.5)
    batch: Batch = {"target": torch.rand(4, 3, 16, 16), "seeds": torch.arange(4)}
    heads = iter([torch.tensor([[0, 50, 0], [0, 50, 0], [0, 0, 50], [0, 0, 50]]).float(), torch.zeros(4, 3)] * 2)

    class Told(nn.Module):
        def forward(self, pictures):
            return next(heads) + 0 * pictures.mean()

    networks = nn.ModuleDict({"generator": system.networks["generator"], "discriminator": Told()})
    terms = system.phases[0].terms(networks, batch, NOW)
    assert terms["classifier"].item() == pytest.approx(0, abs=1e-6)
    assert terms["fake"].item() == pytest.approx(math.log(2))
    assert system.phases[1].terms(networks, batch, NOW)["classifier"].item() == pytest.approx(0, abs=1e-6)
    assert system.phases[1].terms(networks, batch, NOW)["classifier"].item() == pytest.approx(0.5 * math.log(2))


REFUSED = r"^system\.num_heads 8 does not divide the {} pictures that each worker has of train\.batch_size; make them "


@pytest.mark.parametrize(
    ("batch", "workers", "norm", "said"),
    [
        (64, 2, "batch", None),
        (64, 0, "batch", None),
        (8, 0, "none", None),
        (16, 2, "sync_batch", None),
        (60, 0, "none", REFUSED.format(60) + r"a multiple of it$"),
        (24, 2, "none", REFUSED.format(12) + r"a multiple of it$"),
        (16, 2, "batch", REFUSED.format(8) + r"a multiple of it, from 16 on for norm batch$"),
        (8, 0, "sync_batch", REFUSED.format(8) + r"a multiple of it, from 16 on for norm sync_batch$"),
    ],
)
def test_heads_that_do_not_divide_the_batch_are_refused_before_training(
    batch, workers, norm, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    params = taken("systems/mgan")
    train = params.train.model_copy(update={"batch_size": batch, "num_workers": workers})
    params = params.model_copy(update={"train": train, "system": params.system.model_copy(update={"norm": norm})})
    if said is None:
        check_plan(params)
        return
    with pytest.raises(Fault, match=said):
        check_plan(params)


@pytest.mark.parametrize("norm", ["batch", "sync_batch", "none"])
def test_the_least_batch_that_is_not_refused_is_trained_on(norm):
    system, config = many(norm=norm), MGANConfig(num_heads=2, norm=norm)
    taken_up = []
    for size in (1, 2, 3, 4):
        batch: Batch = {"target": torch.rand(size, 3, 16, 16), "seeds": torch.arange(size)}
        try:
            config.require_batch(size, 1)
        except Fault as fault:
            with pytest.raises(Fault, match=str(fault)[:30]):  # and at a step too, in the same words
                system.phases[0].terms(system.networks, batch, NOW)
            continue
        assert system.phases[0].terms(system.networks, batch, NOW)["classifier"].isfinite()
        taken_up.append(size)
    assert taken_up == ([2, 4] if norm == "none" else [4])


# Unrolled GAN


def test_the_gradient_through_steps_ahead_is_that_of_a_derivation():
    """L(d) = d²/2 - g d: each step is d <- (1 - r) d + r g, so after K of them d = (1-r)^K d0 + (1 - (1-r)^K) g."""
    g, d, rate = torch.tensor(3.0, requires_grad=True), torch.tensor(1.0, requires_grad=True), 0.25
    for steps in range(4):
        ahead = unrolled(lambda w: w["d"].square() / 2 - g * w["d"], {"d": d}, steps, rate)["d"]
        kept = 0.75**steps
        assert ahead.item() == pytest.approx(kept * 1 + (1 - kept) * 3)
        (by_g,) = torch.autograd.grad((g * ahead).sum(), g)
        assert by_g.item() == pytest.approx(kept * 1 + 2 * (1 - kept) * 3)  # a player who does not look gets d alone
    assert d.item() == 1


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_gradient_through_one_step_is_that_of_finite_differences(norm):
    torch.manual_seed(0)
    judge = DCGANDiscriminator(1, (8, 8), 2, 4, norm, 0).double()
    fake, real = torch.rand(2, 3, 1, 8, 8, dtype=torch.float64)
    towards = torch.rand_like(fake)

    def ahead(pictures):
        def loss(weights):
            changed = with_weights(judge, weights)
            return nn.functional.softplus(changed(pictures)).mean() + nn.functional.softplus(-changed(real)).mean()

        weights = unrolled(loss, dict(judge.named_parameters()), 1, 0.5)
        return nn.functional.softplus(-with_weights(judge, weights)(pictures)).mean()

    shifted = fake.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ahead(shifted), shifted)
    difference = (ahead(fake + 1e-5 * towards) - ahead(fake - 1e-5 * towards)) / 2e-5
    assert (gradient * towards).sum().item() == pytest.approx(difference.item(), rel=1e-5)
    plain = fake.clone().requires_grad_()
    (unlooking,) = torch.autograd.grad(nn.functional.softplus(-judge(plain)).mean(), plain)
    assert not torch.allclose(gradient, unlooking, rtol=0.01)  # looking ahead is another gradient


def test_without_steps_ahead_it_is_the_plain_gan_bitwise(tiny_shards, tmp_path):
    none = run_of("unrolled_gan", tiny_shards, tmp_path, {"latent": 8, "networks": CONVOLUTIONS, "num_unrolled": 0})
    plain = run_of("dcgan", tiny_shards, tmp_path, {"latent": 8, "width": 4, "norm": "sync_batch"})
    some = run_of("unrolled_gan", tiny_shards, tmp_path)
    for run in (none, plain, some):
        fit(run, Group())
    a, b, c = (weights_of(run) for run in (none, plain, some))
    assert a.keys() == b.keys() == c.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


def test_steps_ahead_leave_the_discriminator_as_it_is():
    torch.manual_seed(0)
    system = unrolled_gan(
        UnrolledGANConfig(latent=4, networks={"name": "stacked"}, num_unrolled=3, inner_rate=1.0), SHAPE
    )
    batch: Batch = {"target": torch.rand(4, 3, 16, 16), "seeds": torch.arange(4)}
    system.phases[0].terms(system.networks, batch, NOW)
    judge = system.networks["discriminator"]
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    system.phases[1].terms(system.networks, batch, NOW)["adversarial"].backward(
        inputs=list(system.networks["generator"].parameters())
    )
    assert all(
        torch.equal(value, before[name]) for name, value in system.networks["discriminator"].state_dict().items()
    )
    assert all(p.grad is None for p in system.networks["discriminator"].parameters())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "unrolled_gan", "num_unrolled": -1}, "num_unrolled"),
        ({"name": "unrolled_gan", "inner_rate": 0}, "inner_rate"),
        ({"name": "mgan", "num_heads": 0}, "num_heads"),
        ({"name": "mgan", "beta": -1}, "beta"),
        ({"name": "d2gan", "alpha": 0}, "alpha"),
        ({"name": "d2gan", "beta": -0.1}, "beta"),
    ],
)
def test_params_without_meaning_are_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(SystemConfig).validate_python(given)


@pytest.mark.parametrize("name", ["d2gan", "mgan", "unrolled_gan"])
def test_sizes_that_cannot_be_halved_are_refused(name):
    config = TypeAdapter(SystemConfig).validate_python({"name": name})
    with pytest.raises(Fault, match=f"system {name} halves the sides .*set another shard.cut.image_size"):
        build(config, Shape(None, SHAPE.target.at((36, 34))))
