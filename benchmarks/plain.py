"""The authors' steps as their scripts write them, on one batch: what the loop's steps are compared with."""

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from components.systems.system import Batch

Step = Callable[[int], None]


def plain_pix2pix(networks: nn.ModuleDict, batch: Batch, lambda_l1: float) -> Step:
    """Generator forward, discriminator, generator, in the order of pix2pix's authors."""
    g, d = networks["generator"], networks["discriminator"]
    adams = [Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (g, d)]
    source, target, seeds = batch["source"], batch["target"], batch["seeds"]

    def told(picture: Tensor, real: bool) -> Tensor:
        logits = d(torch.cat([source, picture], dim=1))
        return F.binary_cross_entropy_with_logits(logits.float(), torch.full_like(logits, float(real)).float())

    def step(_: int) -> None:
        fake = torch.tanh(g(source, seeds))
        d.requires_grad_(True)
        adams[1].zero_grad()
        (0.5 * (told(fake.detach(), real=False) + told(target, real=True))).backward()
        adams[1].step()
        d.requires_grad_(False)
        adams[0].zero_grad()
        (told(fake, real=True) + lambda_l1 * F.l1_loss(fake, target)).backward()
        adams[0].step()

    return step


def plain_cyclegan(
    networks: nn.ModuleDict,
    batch: Batch,
    draws: Sequence[Callable[[Tensor], Tensor]] = (Tensor.detach, Tensor.detach),
    fused: bool | None = None,
) -> Step:
    """Both generators, then both discriminators, in the order of CycleGAN's authors.

    Args:
        draws: what each discriminator is shown in the place of its fakes, such as those of a pool.
        fused: as of Adam.
    """
    names = ("generator", "generator_back", "discriminator", "discriminator_back")
    g, f, d_target, d_source = (networks[name] for name in names)
    adams = [
        Adam(itertools.chain(*(network.parameters() for network in pair)), 2e-4, (0.5, 0.999), fused=fused)
        for pair in ((g, f), (d_target, d_source))
    ]
    source, target = batch["source"], batch["target"]

    def step(_: int) -> None:
        for critic in (d_target, d_source):
            critic.requires_grad_(False)
        fake, back = torch.tanh(g(source)), torch.tanh(f(target))
        loss = (d_target(fake) - 1).square().mean() + (d_source(back) - 1).square().mean()
        loss = loss + 10 * F.l1_loss(torch.tanh(f(fake)), source)
        loss = loss + 10 * F.l1_loss(torch.tanh(g(back)), target)
        loss = loss + 5 * F.l1_loss(torch.tanh(g(target)), target)
        loss = loss + 5 * F.l1_loss(torch.tanh(f(source)), source)
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        for critic in (d_target, d_source):
            critic.requires_grad_(True)
        adams[1].zero_grad()
        for critic, made, real, draw in ((d_target, fake, target, draws[0]), (d_source, back, source, draws[1])):
            (0.5 * (critic(draw(made)).square().mean() + (critic(real) - 1).square().mean())).backward()
        adams[1].step()

    return step
