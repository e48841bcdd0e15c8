"""pix2pix: a conditional GAN with an L1 term over aligned pairs (Isola et al. 2017, arXiv:1611.07004)."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.layers import InitName, NormName, init_kaiming, init_normal
from components.networks.patchgan import PatchGAN, PatchSize
from components.networks.texture_unet import TextureUNet
from components.networks.unet import UNet
from components.objectives.adversarial import ADVERSARIAL, AdversarialName
from components.schema import Section
from components.systems.system import Batch, Phase, Shape, System, Terms, Translation, output


class UNetConfig(Section):
    """The paper's generator; `levels` is by default as many as bring the shorter side to 1 pixel."""

    name: Literal["unet"] = "unet"
    width: PositiveInt = 64
    levels: PositiveInt | None = None
    norm: NormName = "batch"
    dropout: float = Field(default=0.5, ge=0, lt=1)


class TextureUNetConfig(Section):
    """A lean U-Net with noise and a label shortcut (components/networks/texture_unet.py)."""

    name: Literal["texture_unet"] = "texture_unet"
    widths: tuple[PositiveInt, ...] = Field(default=(8, 24, 48, 64, 64), min_length=2)
    norm: NormName = "batch"
    noise: bool = True
    shortcut: NonNegativeFloat = 10.0


class PatchGANConfig(Section):
    """The paper's discriminator; `spectral` normalises its weights (Miyato et al. 2018, arXiv:1802.05957)."""

    width: PositiveInt = 64
    norm: NormName = "batch"
    spectral: bool = False
    init: InitName = "normal"


GeneratorConfig = Annotated[UNetConfig | TextureUNetConfig, Field(discriminator="name")]


class Pix2PixConfig(Section):
    """The defaults are the paper's (configs/papers/pix2pix.yaml)."""

    name: Literal["pix2pix"] = "pix2pix"
    lambda_l1: NonNegativeFloat = 100.0
    patch_size: PatchSize = 70
    adversarial: AdversarialName = "vanilla"
    conditional: bool = True
    generator: GeneratorConfig = Field(default_factory=UNetConfig)
    discriminator: PatchGANConfig = Field(default_factory=PatchGANConfig)


def pix2pix(config: Pix2PixConfig, shape: Shape) -> System:
    """Discriminator, then generator, as the authors step; the fake of a step is made once.

    The discriminator sees the source beside the picture (cGAN) or, with `conditional: false`, the
    picture alone; its loss is halved.
    """
    loss = ADVERSARIAL[config.adversarial]
    generator = _generator(config.generator, shape)
    seen = shape.target.channels + (shape.source.channels if config.conditional else 0)
    discriminator = PatchGAN(
        seen,
        config.patch_size,
        config.discriminator.width,
        config.discriminator.norm,
        config.discriminator.spectral,
    )

    (init_kaiming if config.discriminator.init == "kaiming" else init_normal)(discriminator)

    def translate(network: nn.Module, source: Tensor, seeds: Tensor) -> Tensor:
        return output(shape.target, network(source, seeds))

    def judge(networks: nn.ModuleDict, batch: Batch, picture: Tensor) -> Tensor:
        pair = torch.cat([batch["source"], picture], dim=1) if config.conditional else picture
        logits: Tensor = networks["discriminator"](pair)
        return logits

    def discriminator_terms(networks: nn.ModuleDict, batch: Batch) -> Terms:
        batch["fake"] = translate(networks["generator"], batch["source"], batch["seeds"])
        fake = judge(networks, batch, batch["fake"].detach())
        real = judge(networks, batch, batch["target"])
        return {"fake": 0.5 * loss.fake(fake), "real": 0.5 * loss.real(real)}

    def generator_terms(networks: nn.ModuleDict, batch: Batch) -> Terms:
        fake = batch["fake"]  # with the graph of the discriminator's phase: the generator has not moved since
        return {
            "adversarial": loss.generator(judge(networks, batch, fake)),
            "l1": config.lambda_l1 * F.l1_loss(fake, batch["target"]),
        }

    def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
        fake = translate(networks["generator"], batch["source"], batch["seeds"])
        return {"l1": F.l1_loss(fake, batch["target"])}

    notes: tuple[str, ...] = ()
    if config.patch_size > max(shape.size):
        notes = (
            f"system.patch_size {config.patch_size} is larger than the {shape.size[0]}x{shape.size[1]} "
            "picture: the discriminator sees it whole",
        )
    return System(
        networks=nn.ModuleDict({"generator": generator, "discriminator": discriminator}),
        phases=(
            Phase("discriminator", ("discriminator",), discriminator_terms),
            Phase("generator", ("generator",), generator_terms),
        ),
        translations={"generator": Translation("generator", translate)},
        validation=validation,
        averaged=("generator",),
        notes=notes,
    )


def _generator(config: UNetConfig | TextureUNetConfig, shape: Shape) -> nn.Module:
    channels = shape.source.channels, shape.target.channels
    if isinstance(config, TextureUNetConfig):
        _require_multiple(shape, len(config.widths) - 1, "widths")
        network = TextureUNet(*channels, config.widths, config.norm, config.noise, config.shortcut)
        init_normal(network)
        network.zero_shortcut()
        return network
    levels = config.levels or max(2, min(shape.size).bit_length() - 1)
    _require_multiple(shape, levels, "levels")
    return init_normal(UNet(*channels, levels, config.width, config.norm, config.dropout))


def _require_multiple(shape: Shape, levels: int, param: str) -> None:
    if any(side % 2**levels for side in shape.size):
        raise Fault(
            f"system.generator.{param}: {levels} stride-2 levels need sides that are multiples of {2**levels}, "
            f"not {shape.size[0]}x{shape.size[1]}; set it, or another shard.cut.size"
        )
