"""EBGAN: a discriminator that gives energies, of how badly it rebuilds a picture (Zhao et al. 2017,
arXiv:1609.03126)."""

from typing import Literal

import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.dcgan import DCGANGenerator, base_of
from components.networks.ebgan import EBGANAutoencoder
from components.networks.layers import NormName, init_normal
from components.networks.points import PointAutoencoder
from components.objectives.pulling_away import pulling_away
from components.systems.generation.from_noise import FromNoise, NoiseSection, require_levels
from components.systems.generation.point_networks import point_coders, point_networks
from components.systems.system import Batch, Moment, Phase, Published, Shape, System, Terms

_POINT_CODE = 16


class EBGANConfig(NoiseSection):
    """The defaults are the paper's for faces of 64 pixels, with a generator of half its width.

    Attributes:
        margin: the energy above which a fake no longer counts for the discriminator. An energy is the length of the
            difference between a picture and the rebuilt one, so it grows with the square root of the number of pixels;
            of points it is their distance, and 1 is a margin that fits.
        lambda_pulling_away: weight of the term that keeps pictures of a batch from being alike; the paper has 0.1.
        width: of the generator's layer before the pictures. critic_width: next to the pictures in the autoencoder.
    """

    name: Literal["ebgan"] = "ebgan"
    margin: NonNegativeFloat = 20.0
    lambda_pulling_away: NonNegativeFloat = 0.1
    width: PositiveInt = 64
    critic_width: PositiveInt = 64
    norm: NormName = "batch"

    def require_batch(self, per_rank: int, ranks: int) -> None:
        """The pulling-away term is of pairs of pictures."""
        if self.lambda_pulling_away and per_rank * ranks < 2:
            raise Fault(
                "train.batch_size 1: the pulling-away term is of 2 or more; or set system.lambda_pulling_away: 0"
            )


def ebgan(config: EBGANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step, of the same fakes; the pulling-away term is over all ranks.

    Raises:
        Fault: sides that the levels cannot halve.
    """
    generator, autoencoder = _networks(config, shape)
    noise = FromNoise(shape, config)

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        fake = batch["fake"] = noise.draw(networks["generator"], batch["seeds"], None)
        real_energy = energies(networks["discriminator"], batch["target"])[0]
        fake_energy = energies(networks["discriminator"], fake.detach())[0]
        return {"real": real_energy.mean(), "fake": F.relu(config.margin - fake_energy).mean()}

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        energy, codes = energies(networks["discriminator"], batch["fake"])
        terms = {"adversarial": energy.mean()}
        if config.lambda_pulling_away:
            terms["pulling_away"] = config.lambda_pulling_away * pulling_away(codes)
        return terms

    return noise.system(
        networks={"generator": generator, "discriminator": autoencoder},
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), generator_terms),
        ),
        published=Published(learning_rate=1e-3, betas=(0.5, 0.999)),
    )


def _networks(config: EBGANConfig, shape: Shape) -> tuple[nn.Module, nn.Module]:
    """Generator and autoencoder, initialised."""
    if shape.target.kind == "point":
        # The margin keeps it from rebuilding the whole plane; codes of one value would all lie along one line.
        return point_networks(config)[0], PointAutoencoder(*point_coders(code=_POINT_CODE))
    size, channels = shape.target.height_width, shape.target.channels
    require_levels("ebgan", size, max(3, base_of(size)[1]))  # the autoencoder has 3 levels
    generator = init_normal(DCGANGenerator(config.latent, channels, size, config.width, 4, config.norm, 0))
    return generator, init_normal(EBGANAutoencoder(channels, config.critic_width, config.norm))


def energies(autoencoder: nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Each picture's energy, (N,), and code: the length of the difference between it and the rebuilt one."""
    rebuilt, codes = autoencoder(pictures)
    squares = (rebuilt - pictures).float().square().flatten(1).sum(dim=1)
    return squares.add(1e-12).sqrt(), codes  # a length of exactly 0 has no gradient
