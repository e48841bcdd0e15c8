"""StyleGAN: a mapping of latents to styles, which say at each layer how the maps look (Karras et al. 2019,
arXiv:1812.04948)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from components.networks.growing import Growing
from components.networks.noise import draw_rows, latents, noise_maps, uniforms
from components.networks.pg_gan import PGGANDiscriminator
from components.networks.style_gan import StyleGANGenerator
from components.objectives.adversarial import AdversarialName
from components.objectives.penalties import PenaltyConfig, R1Config
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.systems.generation.from_noise import between
from components.systems.generation.growing import GrowingSection, GrowthConfig, growing, levels_of, linear
from components.systems.system import Batch, Given, Published, Shape, System, Terms, Use


class StyleGANConfig(GrowingSection):
    """The defaults are those of the authors' code for faces, its learning rates by size left to `growth.rates`.

    Attributes:
        mapping: layers of the mapping.
        mixing: how often a picture has the styles of a second latent from some layer on, in training. Each picture
            has its own chance and its own layer, where the authors' code draws one of each a batch.
        decay: of the running average of W, which moves once a step.
        truncated: how many layers, from the smallest on, a truncation is for.
    """

    truncates: ClassVar[bool] = True
    name: Literal["style_gan"] = "style_gan"
    prior: Literal["normal"] = "normal"
    growth: GrowthConfig = GrowthConfig(start=8)
    adversarial: AdversarialName = "vanilla"
    penalty: PenaltyConfig | None = R1Config(weight=10)
    mapping: PositiveInt = 8
    mixing: float = Field(default=0.9, ge=0, le=1)
    decay: float = Field(default=0.995, ge=0, lt=1)
    truncated: PositiveInt = 8


def style_gan(config: StyleGANConfig, shape: Shape) -> System:
    """Discriminator, then generator, each at every step, of the same fakes; pictures have no output activation.

    The way from one seed to another is straight in W, and on the arc between their noises.

    Raises:
        Fault: pictures that are not square, or whose side is no power of two.
    """
    levels, channels = levels_of(config, "style_gan", shape), shape.target.channels
    styled = _Styled(config, shape)
    networks = (
        StyleGANGenerator(config.latent, channels, levels, config.width, config.mapping),
        PGGANDiscriminator(channels, levels, config.width, config.group, blurred=True),
    )
    use = Use("generator", styled.run, needs=config.needs)
    published = Published(learning_rate=1e-3, betas=(0.0, 0.99))
    return growing(config, levels, networks, styled.make, use, styled.validation, published)


@dataclass(frozen=True)
class _Styled:
    """Pictures of seeds, in training and in use."""

    config: StyleGANConfig
    shape: Shape

    def make(self, generator: Growing, seeds: Tensor, level: int, alpha: Tensor | None) -> Tensor:
        """Pictures of a level, of two latents each, for training; W goes into the average."""
        assert isinstance(generator, StyleGANGenerator)
        device, layers = generator.grown.device, 2 * (level + 1)
        first, second = (generator.mapping(latents(seeds, self.config.latent, device, draw=draw)) for draw in (0, 1))
        generator.remember(first, self.config.decay)
        chance, place = uniforms(seeds, (2,), device, stream=2).unbind(1)
        cut = 1 + (place * (layers - 1)).floor()
        cut = torch.where(chance < self.config.mixing, cut, torch.full_like(cut, layers))
        before = torch.arange(layers, device=device) < cut[:, None]
        w = torch.where(before[:, :, None], first[:, None], second[:, None])
        noise = noise_maps(seeds, generator.sides[:layers], device, stream=3)
        return linear(self.shape.target, generator.synthesis(w, noise, level, alpha))

    def run(self, network: nn.Module, given: Given) -> Tensor:
        """Pictures of the whole size."""
        assert isinstance(network, StyleGANGenerator)
        w, noise = self._drawn(network, given.seeds)
        each = network.each(w)
        if given.towards is not None:
            assert given.share is not None
            further, other = self._drawn(network, given.towards)
            share = given.share.to(w)
            each = torch.lerp(
                each, network.each(further), share[:, None, None] if share.dim() == 1 else share[..., None]
            )
            noise = between(noise, other, share) if share.dim() == 1 else noise  # else styles alone are another's
        if given.truncation is not None:
            each = network.truncated(each, given.truncation, self.config.truncated)
        sides = network.sides
        parts = noise.split([height * width for height, width in sides], dim=1)
        maps = [part.view(-1, 1, *side) for part, side in zip(parts, sides, strict=True)]
        return linear(self.shape.target, network(each, maps))

    def validation(self, networks: nn.ModuleDict, batch: Batch) -> Terms:
        """`distance`: how far pictures of the batch's seeds are from its real ones."""
        fake = self.run(networks["generator"], Given(batch["seeds"]))
        return {"distance": sliced_wasserstein(fake, batch["target"])}

    def _drawn(self, network: StyleGANGenerator, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """W (N, latent) and the noise of all layers (N, pixels), of one draw, so that it can be one input of a file."""
        pixels = sum(height * width for height, width in network.sides)
        drawn = draw_rows(seeds, self.config.latent + pixels, "normal", network.grown.device)
        return network.mapping(drawn[:, : self.config.latent]), drawn[:, self.config.latent :]
