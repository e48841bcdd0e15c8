"""CoGAN: two generators that share what a latent means, and translation by inversion (Liu and Tuzel 2016,
arXiv:1606.07536, section 5)."""

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Adam

from components.faults import Fault
from components.networks.coupled import CoupledDiscriminator, CoupledGenerator
from components.networks.layers import NormName, init_normal
from components.networks.noise import noise_maps
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.systems.system import Batch, Moment, Phase, Shape, System, SystemSection, Terms, Use, of_source, output

_SOURCE, _TARGET = 0, 1


class CoGANConfig(SystemSection):
    """As many stride-2 levels as bring the shorter side to 4 to 7 pixels; widths from `width` to 8 times it.

    Attributes:
        latent: values of the latent, unit normal.
        untied: levels next to the pictures that the two domains do not share, in either network.
        inversion_steps, inversion_rate: of the gradient descent (Adam) that finds a picture's latent.
    """

    paired: ClassVar[bool] = False
    name: Literal["cogan"] = "cogan"
    latent: PositiveInt = 100
    width: PositiveInt = 64
    untied: PositiveInt = 2
    norm: NormName = "batch"
    adversarial: AdversarialName = "vanilla"
    inversion_steps: NonNegativeInt = 200
    inversion_rate: PositiveFloat = 0.1

    @property
    def judged_by_kid(self) -> bool:
        """Not at each checkpoint: every picture that is translated costs `inversion_steps` steps."""
        return False


def cogan(config: CoGANConfig, shape: Shape) -> System:
    """Discriminators, then generators, over latents that the samples' seeds decide; a discriminator's loss is halved.

    A source is translated by looking for the latent whose source picture is nearest to it, in squared error,
    and drawing that latent's target picture; the other way alike. Nothing of it is learned.

    Raises:
        Fault: sides that the levels cannot halve, or more untied levels than there are.
    """
    loss = ADVERSARIAL[config.adversarial]
    domains = (shape.source, shape.target)
    levels = _levels(config, shape.target.height_width)

    def draw(network: nn.Module, latents: Tensor, domain: int) -> Tensor:
        return output(domains[domain], network(latents, domain))

    def latents_of(seeds: Tensor, device: torch.device) -> Tensor:
        (latents,) = noise_maps(seeds, [(1, config.latent)], device)
        return latents.flatten(1)

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        latents = latents_of(batch["seeds"], batch["source"].device)
        terms: Terms = {}
        for domain, name in enumerate(("source", "target")):
            fake = batch[f"fake_{name}"] = draw(networks["generator"], latents, domain)
            judged = networks["discriminator"](fake.detach(), domain)
            terms |= loss.discriminator(batch, judged, networks["discriminator"](batch[name], domain), f"_{name}")
        return terms

    def generator_terms(networks: nn.ModuleDict, batch: Batch, _: Moment) -> Terms:
        # The fakes have the graph of the discriminator's phase: the generator has not moved since.
        return {
            f"adversarial_{name}": loss.generator(networks["discriminator"](batch[f"fake_{name}"], domain))
            for domain, name in enumerate(("source", "target"))
        }

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        latents = latents_of(batch["seeds"], batch["source"].device)
        there = sliced_wasserstein(draw(networks["generator"], latents, _TARGET), batch["target"])
        back = sliced_wasserstein(draw(networks["generator"], latents, _SOURCE), batch["source"])
        return {"distance": 0.5 * (there + back)}

    def invert(network: nn.Module, pictures: Tensor, seeds: Tensor, domain: int) -> Tensor:
        """The latents, (N, latent), whose pictures in a domain are nearest to those given."""
        # Gradients are wanted even where the caller has switched them off.
        with torch.inference_mode(False), torch.enable_grad():
            wanted = pictures.clone()
            latents = latents_of(seeds, pictures.device).requires_grad_()
            optimizer = Adam([latents], config.inversion_rate)
            for _ in range(config.inversion_steps):
                # A sum over the pictures, so that each descends as if it were alone.
                error = (draw(network, latents, domain) - wanted).square().flatten(1).mean(dim=1).sum()
                (latents.grad,) = torch.autograd.grad(error, latents)
                optimizer.step()
        return latents.detach()

    def forward(network: nn.Module, source: Tensor, seeds: Tensor) -> Tensor:
        return draw(network, invert(network, source, seeds, _SOURCE), _TARGET)

    def backward(network: nn.Module, target: Tensor, seeds: Tensor) -> Tensor:
        return draw(network, invert(network, target, seeds, _TARGET), _SOURCE)

    channels = (shape.source.channels, shape.target.channels)
    shared = (levels, config.untied, config.width, config.norm)
    generator = CoupledGenerator(config.latent, channels, shape.target.height_width, *shared)
    discriminator = CoupledDiscriminator(channels, shape.target.height_width, *shared)
    return System(
        networks=nn.ModuleDict({"generator": init_normal(generator), "discriminator": init_normal(discriminator)}),
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), generator_terms),
        ),
        uses={
            "forward": Use("generator", of_source(forward)),
            "backward": Use("generator", of_source(backward), makes="source"),
        },
        validation=validation,
        averaged=("generator",),
    )


def _levels(config: CoGANConfig, size: tuple[int, int]) -> int:
    levels = min(size).bit_length() - 3
    if levels < config.untied:
        raise Fault(f"system.untied: {config.untied} levels, and pictures of {size[0]}x{size[1]} have {max(levels, 0)}")
    if any(side % 2**levels for side in size):
        raise Fault(
            f"system cogan halves the sides {levels} times: they must be multiples of {2**levels}, "
            f"not {size[0]}x{size[1]}; set another shard.cut.image_size"
        )
    return levels
