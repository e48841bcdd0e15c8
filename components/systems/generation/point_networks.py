"""The networks that every system from noise has where it makes points."""

from torch import nn

from components.networks.points import PointDiscriminator, PointGenerator, PointHeads
from components.systems.generation.from_noise import NoiseSection

_WIDTH, _DEPTH = 128, 2


def point_networks(config: NoiseSection) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator, initialised: two hidden layers of 128 each, in place of the system's own.

    The params of the system's own networks have no effect on them; those of its loss have.
    """
    return PointGenerator(config.latent, _WIDTH, _DEPTH), PointDiscriminator(_WIDTH, _DEPTH)


def point_coders(code: int) -> tuple[PointDiscriminator, PointGenerator]:
    """Encoder and decoder of a discriminator that rebuilds points, of as many layers each, with `code` values between
    them."""
    return PointDiscriminator(_WIDTH, _DEPTH, outputs=code), PointGenerator(code, _WIDTH, _DEPTH)


def many_headed(config: NoiseSection, num_heads: int, normal: bool) -> tuple[nn.Module, nn.Module]:
    """The same with a first layer for each head, and a discriminator that tells the heads apart too.

    Args:
        normal: whether latents are unit normal; else they are uniform from -1 to 1.
    """
    generator = PointHeads(num_heads, config.latent, _WIDTH, _DEPTH, normal)
    return generator, PointDiscriminator(_WIDTH, _DEPTH, outputs=1 + num_heads)
