"""BEGAN's control and EBGAN's energies against hand arithmetic, on one rank and on two."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from pydantic import TypeAdapter, ValidationError
from torch import nn

from components.faults import Fault
from components.networks.began import BEGANAutoencoder, BEGANDecoder, BEGANEncoder
from components.networks.dcgan import DCGANGenerator
from components.networks.ebgan import EBGANAutoencoder
from components.objectives.pulling_away import pulling_away
from components.samples.domain import Domain
from components.systems import SystemConfig, build
from components.systems.generation.began import BEGANConfig, balance, began
from components.systems.generation.ebgan import EBGANConfig, ebgan, energies
from components.systems.system import Batch, Moment, Shape

SHAPE = Shape(None, Domain(kind="image").at((16, 16)))
NOW = Moment(0, 10, 0)
CODES = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, -2.0], [5.0, 5.0]])  # directions at 0, 53, -90 and 45 degrees


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def autoencoder(*sizes: Any) -> BEGANAutoencoder:
    """BEGAN's discriminator of pictures."""
    return BEGANAutoencoder(BEGANEncoder(*sizes), BEGANDecoder(*sizes))


def test_began_has_the_published_counts():
    assert count(BEGANDecoder(64, 3, (64, 64), 128)) == 1_716_611
    assert count(autoencoder(64, 3, (64, 64), 128)) == 13_405_379


def test_ebgan_has_the_counts_of_its_layers():
    """The paper lists layers and no counts: 64-128-256 and back, kernels of 4; a generator of 1,024 to 128."""
    assert count(EBGANAutoencoder(3, 64, "batch")) == 1_318_083
    assert count(DCGANGenerator(100, 3, (64, 64), 128, 4, "batch", 0)) == 12_658_432


@pytest.mark.parametrize("size", [(8, 8), (16, 24), (32, 32)])
def test_pictures_are_rebuilt_at_their_size(size):
    pictures = torch.rand(2, 3, *size)
    assert autoencoder(5, 3, size, 4)(pictures).shape == pictures.shape
    assert BEGANDecoder(5, 3, size, 4)(torch.rand(2, 5)).shape == pictures.shape
    rebuilt, codes = EBGANAutoencoder(3, 4, "batch")(pictures)
    assert rebuilt.shape == pictures.shape
    assert codes.shape == (2, 16 * size[0] * size[1] // 64)


def test_k_and_the_convergence_measure_are_those_of_hand_arithmetic():
    k = torch.zeros(())
    seen = []
    # gamma 0.5, rate 0.1: k moves by 0.1 (0.5 real - fake), and stays within 0 and 1.
    for real, fake in ((1.0, 0.2), (1.0, 0.4), (0.8, 0.5), (30.0, 1.0), (0.4, 9.0)):
        convergence = balance(k, torch.tensor(real), torch.tensor(fake), 0.5, 0.1)
        seen.append((k.item(), convergence.item()))
    expected = [(0.03, 1.3), (0.04, 1.1), (0.03, 0.9), (1.0, 44.0), (0.12, 9.2)]
    assert [value for pair in seen for value in pair] == pytest.approx([value for pair in expected for value in pair])


def test_a_step_of_began_counts_fakes_by_the_k_before_it_and_then_moves_k():
    torch.manual_seed(0)
    system = began(BEGANConfig(latent=4, width=4, lambda_k=0.1), SHAPE)
    judge = system.networks["discriminator"]
    judge.k.fill_(0.25)
    batch: Batch = {"target": torch.rand(4, 3, 16, 16), "seeds": torch.arange(4)}
    terms = system.phases[0].terms(system.networks, batch, NOW)
    fake = (batch["fake"] - judge(batch["fake"])).abs().mean().item()
    real = (batch["target"] - judge(batch["target"])).abs().mean().item()
    assert terms["real"].item() == pytest.approx(real)
    assert terms["fake"].item() == pytest.approx(-0.25 * fake)
    assert judge.k.item() == pytest.approx(0.25 + 0.1 * (0.5 * real - fake))
    assert batch["seen.k"].item() == 0.25
    assert batch["seen.convergence"].item() == pytest.approx(real + abs(0.5 * real - fake))
    sum(terms.values()).backward()  # k may move although the loss was made of it
    assert system.phases[1].terms(system.networks, batch, NOW)["adversarial"].item() == pytest.approx(fake)


def test_the_pulling_away_term_is_that_of_hand_arithmetic():
    # Squared cosines of the six pairs: 0.36, 0, 0.5, 0.64, 0.98, 0.5; each pair counts twice, of 4 x 3.
    assert pulling_away(CODES).item() == pytest.approx(2 * (0.36 + 0 + 0.5 + 0.64 + 0.98 + 0.5) / 12)
    assert pulling_away(torch.tensor([[1.0, 2.0], [-2.0, -4.0]])).item() == pytest.approx(1)
    assert pulling_away(torch.eye(3)).item() == 0
    assert pulling_away(torch.rand(1, 3)).item() == 0


def test_two_ranks_pull_apart_and_move_k_as_one_does(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(rank_main, (port, tmp_path), nprocs=2)
    codes, k = CODES.clone().requires_grad_(), torch.tensor(0.5)
    value = pulling_away(codes)
    value.backward()
    convergence = balance(k, torch.tensor(2.0), torch.tensor(0.5), 0.5, 0.1)  # the means of both ranks' losses
    assert codes.grad is not None
    held = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for rank, one in enumerate(held):
        assert torch.allclose(one["value"], value.detach())
        # The mean over the ranks, which follows, halves the sum of both ranks' gradients.
        assert torch.allclose(one["grad"] / 2, codes.grad[2 * rank : 2 * rank + 2], atol=1e-7)
        assert torch.equal(one["k"], k)
        assert torch.equal(one["convergence"], convergence)


def rank_main(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    codes, k = CODES[2 * rank : 2 * rank + 2].clone().requires_grad_(), torch.tensor(0.5)
    value = pulling_away(codes)
    value.backward()
    convergence = balance(k, torch.tensor((1.0, 3.0)[rank]), torch.tensor((0.75, 0.25)[rank]), 0.5, 0.1)
    kept = {"value": value.detach(), "grad": codes.grad, "k": k, "convergence": convergence}
    torch.save(kept, folder / f"{rank}.pt")
    dist.destroy_process_group()


class Blank(nn.Module):
    """An autoencoder that rebuilds every picture as black, but for a shift that it may learn."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, pictures):
        return torch.zeros_like(pictures) + self.shift, pictures.flatten(1)


def test_energies_are_lengths_and_the_margin_is_where_fakes_stop_counting():
    pictures = torch.stack([torch.full((3, 16, 16), 0.5), torch.full((3, 16, 16), 0.1)])
    energy, _ = energies(Blank(), pictures)
    assert energy.tolist() == pytest.approx([0.5 * 768**0.5, 0.1 * 768**0.5], rel=1e-5)
    same, _ = energies(Blank(), torch.zeros(1, 3, 16, 16, requires_grad=True))
    same.sum().backward()  # a picture rebuilt exactly gives no gradient that is not finite
    system = ebgan(EBGANConfig(latent=4, width=4, critic_width=4, margin=10), SHAPE)
    networks = nn.ModuleDict({"generator": Painted(pictures), "discriminator": Blank()})
    batch: Batch = {"target": pictures, "seeds": torch.arange(2)}
    terms = system.phases[0].terms(networks, batch, NOW)
    assert terms["real"].item() == pytest.approx(0.3 * 768**0.5, rel=1e-5)
    assert terms["fake"].item() == pytest.approx((0 + 10 - 0.1 * 768**0.5) / 2, rel=1e-5)  # 13.9 is above the margin
    terms = system.phases[1].terms(networks, batch, NOW)
    assert terms["adversarial"].item() == pytest.approx(0.3 * 768**0.5, rel=1e-5)
    assert terms["pulling_away"].item() == pytest.approx(0.1, rel=1e-5)  # both grey: codes along one line


class Painted(nn.Module):
    """A generator of given pictures, before their tanh."""

    def __init__(self, pictures: torch.Tensor) -> None:
        super().__init__()
        self.before = nn.Parameter(torch.atanh(pictures))

    def forward(self, latent):
        return self.before[: len(latent)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "ebgan", "margin": -1}, "margin"),
        ({"name": "ebgan", "lambda_pulling_away": -0.1}, "lambda_pulling_away"),
        ({"name": "began", "gamma": 1.5}, "gamma"),
        ({"name": "began", "lambda_k": -1}, "lambda_k"),
    ],
)
def test_params_without_meaning_are_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(SystemConfig).validate_python(given)


@pytest.mark.parametrize(("config", "size"), [(BEGANConfig(width=4), (32, 34)), (EBGANConfig(width=4), (16, 20))])
def test_sizes_that_cannot_be_halved_are_refused(config, size):
    with pytest.raises(Fault, match=f"system {config.name} halves the sides .*set another shard.cut.image_size"):
        build(config, Shape(None, SHAPE.target.at(size)))


def test_one_picture_has_none_to_be_pulled_away_from():
    with pytest.raises(Fault, match=r"train\.batch_size 1: the pulling-away term is of 2 or more"):
        EBGANConfig().require_batch(1, 1)
    EBGANConfig().require_batch(1, 2)
    EBGANConfig(lambda_pulling_away=0).require_batch(1, 1)
