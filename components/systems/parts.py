"""The generators and discriminators that systems are composed of, as params."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import nn

from components.faults import Fault
from components.networks.layers import InitName, NormName, init_kaiming, init_normal, spectrally_normalised
from components.networks.patchgan import PatchGAN, PatchSize
from components.networks.resnet import ResNet, UpsampleName
from components.networks.texture_unet import TextureUNet
from components.networks.unet import UNet
from components.samples.domain import Domain
from components.samples.schema import Section


class UNetConfig(Section):
    """pix2pix's generator; `levels` is by default as many as bring the shorter side to 1 pixel."""

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


class EncoderDecoderConfig(Section):
    """pix2pix's U-Net without its skips, as its paper compares them; the same params."""

    name: Literal["encoder_decoder"] = "encoder_decoder"
    width: PositiveInt = 64
    levels: PositiveInt | None = None
    norm: NormName = "batch"
    dropout: float = Field(default=0.5, ge=0, lt=1)


class TextureEncoderDecoderConfig(Section):
    """The lean U-Net without its skips, and so without the shortcut."""

    name: Literal["texture_encoder_decoder"] = "texture_encoder_decoder"
    widths: tuple[PositiveInt, ...] = Field(default=(8, 24, 48, 64, 64), min_length=2)
    norm: NormName = "batch"
    noise: bool = True


class ResNetConfig(Section):
    """CycleGAN's generator; `blocks` is by default the paper's: 9 from 256 pixels on, 6 below.

    InstanceNorm takes the mean colour of a picture away, which a satellite tile of one surface consists of; `norm`
    none, with `init` kaiming, keeps it. `residual` makes it start as the identity, which needs a source and a
    target in colour.
    """

    name: Literal["resnet"] = "resnet"
    width: PositiveInt = 64
    blocks: PositiveInt | None = None
    norm: NormName = "instance"
    init: InitName = "normal"
    upsample: UpsampleName = "transposed"
    residual: bool = False


AnyGeneratorConfig = UNetConfig | TextureUNetConfig | EncoderDecoderConfig | TextureEncoderDecoderConfig | ResNetConfig
GeneratorConfig = Annotated[AnyGeneratorConfig, Field(discriminator="name")]


class PatchGANConfig(Section):
    """pix2pix's discriminator; `spectral` normalises its weights (Miyato et al. 2018, arXiv:1802.05957)."""

    width: PositiveInt = 64
    norm: NormName = "batch"
    spectral: bool = False
    init: InitName = "normal"


def make_generator(config: AnyGeneratorConfig, source: Domain, target: Domain) -> nn.Module:
    """A freshly initialised generator from one domain to another; the caller applies the output activation.

    Raises:
        Fault: source and target differ in size, or their sides are no multiple of what the network halves them by.
    """
    size, made = source.height_width, target.height_width
    if size != made:
        raise Fault(
            f"system.generator.name: {config.name} makes pictures of the size of its source, {size[0]}x{size[1]}, and "
            f"the target has {made[0]}x{made[1]}; derive a source of that size, or choose a system that enlarges"
        )
    channels = source.channels, target.channels
    match config:
        case TextureUNetConfig() | TextureEncoderDecoderConfig():
            _require_multiple(size, len(config.widths) - 1, "widths")
            skips = isinstance(config, TextureUNetConfig)
            shortcut = config.shortcut if isinstance(config, TextureUNetConfig) else 0.0
            texture = TextureUNet(*channels, config.widths, config.norm, config.noise, shortcut, skips)
            init_normal(texture)
            texture.zero_shortcut()
            return texture
        case UNetConfig() | EncoderDecoderConfig():
            levels = config.levels or max(2, min(size).bit_length() - 1)
            _require_multiple(size, levels, "levels")
            skips = isinstance(config, UNetConfig)
            return init_normal(UNet(*channels, levels, config.width, config.norm, config.dropout, skips))
        case ResNetConfig():
            _require_multiple(size, 2, "name")
            if config.residual and not (source.in_colour and target.in_colour):
                raise Fault("system.generator.residual: adds to what it is given in colour; see train.labels")
            blocks = config.blocks or (9 if min(size) >= 256 else 6)
            resnet = ResNet(*channels, blocks, config.width, config.norm, config.upsample, config.residual)
            (init_kaiming if config.init == "kaiming" else init_normal)(resnet)
            resnet.start_as_identity()
            return resnet


def make_patchgan(config: PatchGANConfig, channels: int, patch_size: PatchSize) -> nn.Module:
    """A freshly initialised PatchGAN that sees so many channels."""
    network = PatchGAN(channels, patch_size, config.width, config.norm)
    (init_kaiming if config.init == "kaiming" else init_normal)(network)
    # After the initialisation, which would write into a copy that the normalised weight is computed of.
    return spectrally_normalised(network) if config.spectral else network


def _require_multiple(size: tuple[int, int], levels: int, param: str) -> None:
    if any(side % 2**levels for side in size):
        raise Fault(
            f"system.generator.{param}: {levels} stride-2 levels need sides that are multiples of {2**levels}, "
            f"not {size[0]}x{size[1]}; set it, or another shard.cut.image_size"
        )
