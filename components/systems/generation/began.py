"""BEGAN: a discriminator that is an autoencoder, and an equilibrium kept by control (Berthelot et al. 2017,
arXiv:1703.10717)."""

from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from components.networks import across_ranks
from components.networks.began import BEGANAutoencoder, BEGANDecoder, BEGANEncoder, init_xavier, levels_of
from components.objectives.adversarial import SEEN
from components.systems.generation.from_noise import FromNoise, NoiseSection, Prior, require_levels
from components.systems.generation.point_networks import point_coders, point_networks
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms


class BEGANConfig(NoiseSection):
    """The defaults are the paper's, with networks of half its width.

    Attributes:
        latent: values of a latent, and of the autoencoder's code.
        gamma: what the loss of fakes should be as a share of that of real pictures; more gives more diverse pictures.
        lambda_k: how far the weight k of the fakes' loss moves at a step.
        width: of all maps of the generator, and next to the pictures in the autoencoder.
    """

    name: Literal["began"] = "began"
    latent: PositiveInt = 64
    prior: Prior = "uniform"
    gamma: float = Field(default=0.5, ge=0, le=1)
    lambda_k: NonNegativeFloat = 1e-3
    width: PositiveInt = 64


def began(config: BEGANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step, of the same fakes; k moves by the losses before both.

    A picture's loss is the mean distance of its values from those that the autoencoder rebuilds. Here the generator's
    pictures go through tanh, as of all systems. `seen.k` and `seen.convergence` are logged; the latter falls as the
    training gets on. Points are rebuilt from codes of one value.

    Raises:
        Fault: sides that cannot be halved to 8 to 15 pixels.
    """
    generator, autoencoder = _networks(config, shape)
    noise = FromNoise(shape, config)

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = batch["fake"] = noise.draw(networks["generator"], batch["seeds"], None)
        judge = networks["discriminator"]
        assert isinstance(judge, BEGANAutoencoder)
        real_loss, fake_loss = rebuilding(judge, batch["target"]), rebuilding(judge, fake.detach())
        terms = {"real": real_loss, "fake": -judge.k.clone() * fake_loss}
        batch[f"{SEEN}k"] = judge.k.clone()
        batch[f"{SEEN}convergence"] = balance(judge.k, real_loss, fake_loss, config.gamma, config.lambda_k)
        return terms

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        return {"adversarial": rebuilding(networks["discriminator"], batch["fake"])}

    return noise.system(
        networks={"generator": generator, "discriminator": autoencoder},
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), generator_terms),
        ),
        published=Published(learning_rate=1e-4, betas=(0.5, 0.999)),
    )


def _networks(config: BEGANConfig, shape: Shape) -> tuple[nn.Module, nn.Module]:
    """Generator and autoencoder, initialised."""
    if shape.target.kind == "point":
        # With a code of 2 values or more it rebuilds the whole plane, k stays at 0, and the generator learns nothing.
        return point_networks(config)[0], BEGANAutoencoder(*point_coders(code=1))
    size = shape.target.height_width
    require_levels("began", size, levels_of(size))
    sizes = (config.latent, shape.target.channels, size, config.width)
    generator = init_xavier(BEGANDecoder(*sizes))
    return generator, init_xavier(BEGANAutoencoder(BEGANEncoder(*sizes), BEGANDecoder(*sizes)))


def rebuilding(autoencoder: nn.Module, pictures: Tensor) -> Tensor:
    """The mean distance of an autoencoder's pictures from those that it is given."""
    return (pictures - autoencoder(pictures)).abs().float().mean()


@torch.no_grad()
def balance(k: Tensor, real: Tensor, fake: Tensor, gamma: float, rate: float) -> Tensor:
    """Move k in place by `rate` times gamma real - fake, within 0 and 1; gives real + |gamma real - fake|.

    Args:
        real, fake: scalar losses of this rank; they count as their means over all ranks.
    """
    real, fake = across_ranks.mean(torch.stack([real, fake])).unbind()
    off = gamma * real - fake
    k.add_(rate * off).clamp_(0, 1)
    return real + off.abs()
