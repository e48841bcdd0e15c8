"""Two ranks on halves of a batch compute what one process computes on the whole, second derivatives too."""

import pytest
import torch
from torch import Tensor, nn

from components.networks import across_ranks
from components.networks.layers import SyncBatchNorm2d
from components.objectives.feature_matching import feature_matching
from components.training.group import Group
from tests.reliability.ranks import together


class Spread(nn.Module):
    """Appends each pixel's standard deviation over the joined batch as a channel, as minibatch statistics do."""

    def forward(self, x: Tensor) -> Tensor:
        spread = across_ranks.gather(x).var(dim=0, correction=0).add(1e-8).sqrt().mean()
        return torch.cat([x, spread.expand(len(x), 1, *x.shape[2:])], dim=1)


CRITICS = {
    "sync_batch": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), SyncBatchNorm2d(4), nn.Tanh(), nn.Conv2d(4, 1, 3)
    ),
    "gather": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), Spread(), nn.Conv2d(5, 1, 3)),
}


def penalised(critic: nn.Module, pictures: Tensor) -> Tensor:
    """A loss whose gradient holds second derivatives: the critic's mean and its gradient penalty."""
    x = pictures.clone().requires_grad_(True)
    logits = critic(x)
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return logits.mean() + (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def gradients_of(name: str, pictures: Tensor) -> list[Tensor]:
    torch.manual_seed(0)
    critic = CRITICS[name]().double()
    penalised(critic, pictures).backward()
    return [parameter.grad for parameter in critic.parameters()]


def pictures() -> Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def rank_main(group: Group, folder: str) -> None:
    mine = pictures().chunk(2)[group.rank]
    for name in CRITICS:
        found = gradients_of(name, mine)
        for gradient in found:
            group.mean(gradient)
        features = mine.clone().requires_grad_(True)
        feature_matching([mine.flip(0)], [features.tanh()]).backward()
        if group.leads:
            torch.save([*found, features.grad / 2], f"{folder}/{name}.pt")


@pytest.fixture(scope="module")
def of_two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tensor]]:
    folder = tmp_path_factory.mktemp("ranks")
    together(2, folder, rank_main, str(folder))
    return {name: torch.load(folder / f"{name}.pt") for name in CRITICS}


@pytest.mark.parametrize("name", CRITICS)
def test_second_derivatives_are_those_of_the_joined_batch(of_two_ranks, name):
    for one, two in zip(gradients_of(name, pictures()), of_two_ranks[name], strict=False):
        assert one.abs().max() > 1e-3
        assert torch.allclose(one, two, rtol=1e-6, atol=1e-9)


def test_feature_matching_learns_as_one_process_does(of_two_ranks):
    whole = pictures()
    features = whole.clone().requires_grad_(True)
    feature_matching([whole], [features.tanh()]).backward()
    assert torch.allclose(features.grad[:3], of_two_ranks["gather"][-1], rtol=1e-6, atol=1e-12)
