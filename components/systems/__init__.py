"""The GANs: one small file each, named as its paper. This page lists them."""

from typing import Annotated, get_args

from pydantic import Field

from components.faults import Fault
from components.systems.classifier import ClassifierConfig, classifier
from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.generation.began import BEGANConfig, began
from components.systems.generation.cgan import CGANConfig, cgan
from components.systems.generation.d2gan import D2GANConfig, d2gan
from components.systems.generation.dcgan import DCGANConfig, dcgan
from components.systems.generation.dragan import DRAGANConfig, dragan
from components.systems.generation.ebgan import EBGANConfig, ebgan
from components.systems.generation.gan import GANConfig, gan
from components.systems.generation.lapgan import LAPGANConfig, lapgan
from components.systems.generation.lsgan import LSGANConfig, lsgan
from components.systems.generation.mgan import MGANConfig, mgan
from components.systems.generation.pg_gan import PGGANConfig, pg_gan
from components.systems.generation.r3gan import R3GANConfig, r3gan
from components.systems.generation.sn_gan import SNGANConfig, sn_gan
from components.systems.generation.stacked_gan import StackedGANConfig, stacked_gan
from components.systems.generation.style_gan import StyleGANConfig, style_gan
from components.systems.generation.unrolled_gan import UnrolledGANConfig, unrolled_gan
from components.systems.generation.wgan import WGANConfig, wgan
from components.systems.generation.wgan_gp import WGANGPConfig, wgan_gp
from components.systems.system import Shape, System
from components.systems.translation.bigan import BiGANConfig, bigan
from components.systems.translation.cogan import CoGANConfig, cogan
from components.systems.translation.cyclegan import CycleGANConfig, cyclegan
from components.systems.translation.discogan import DiscoGANConfig, discogan
from components.systems.translation.feature_gan import FeatureGANConfig, feature_gan
from components.systems.translation.pix2pix import Pix2PixConfig, pix2pix
from components.systems.translation.simgan import SimGANConfig, simgan
from components.systems.translation.srgan import SRGANConfig, srgan
from components.systems.translation.star_gan import StarGANConfig, star_gan
from components.systems.translation.star_gan_v2 import StarGANv2Config, star_gan_v2
from components.systems.translation.style_transfer import StyleTransferConfig, style_transfer

AnySystemConfig = (
    Pix2PixConfig
    | CycleGANConfig
    | DiscoGANConfig
    | CoGANConfig
    | BiGANConfig
    | SimGANConfig
    | FeatureGANConfig
    | StyleTransferConfig
    | SRGANConfig
    | GANConfig
    | DCGANConfig
    | CGANConfig
    | LSGANConfig
    | WGANConfig
    | WGANGPConfig
    | DRAGANConfig
    | SNGANConfig
    | R3GANConfig
    | BEGANConfig
    | EBGANConfig
    | D2GANConfig
    | MGANConfig
    | UnrolledGANConfig
    | LAPGANConfig
    | StackedGANConfig
    | StarGANConfig
    | StarGANv2Config
    | PGGANConfig
    | StyleGANConfig
    | FCN8sConfig
    | ClassifierConfig
)
SystemConfig = Annotated[AnySystemConfig, Field(discriminator="name")]


def build(config: AnySystemConfig, shape: Shape) -> System:
    """Make the system that a config names, with freshly initialised networks.

    Raises:
        Fault: it would make label maps, and learn them from pixels that are not labelled; or its networks cannot take
            the pictures, or the condition.
    """
    if config.exclusive and shape.asked is not None and not shape.asked.exclusive:
        raise Fault(
            f"system.name: {config.name} takes one class at a time, and the condition is attributes; name a category "
            f"in train.task or shard.task, or take one of {', '.join(attribute_systems())}"
        )
    system = _build(config, shape)
    for use in system.uses.values():
        made = shape.made_by(use)
        if made.ignore is not None and not config.skips_void:
            raise Fault(
                f"system.name: {config.name} would learn to make a label map of which some pixels are not labelled "
                f"(ignore: {made.ignore}), and only the judge leaves those out; let the label map be the source alone"
            )
    return system


def _build(config: AnySystemConfig, shape: Shape) -> System:
    match config:
        case Pix2PixConfig():
            return pix2pix(config, shape)
        case CycleGANConfig():
            return cyclegan(config, shape)
        case DiscoGANConfig():
            return discogan(config, shape)
        case CoGANConfig():
            return cogan(config, shape)
        case BiGANConfig():
            return bigan(config, shape)
        case SimGANConfig():
            return simgan(config, shape)
        case FeatureGANConfig():
            return feature_gan(config, shape)
        case StyleTransferConfig():
            return style_transfer(config, shape)
        case SRGANConfig():
            return srgan(config, shape)
        case GANConfig():
            return gan(config, shape)
        case DCGANConfig():
            return dcgan(config, shape)
        case CGANConfig():
            return cgan(config, shape)
        case LSGANConfig():
            return lsgan(config, shape)
        case WGANConfig():
            return wgan(config, shape)
        case WGANGPConfig():
            return wgan_gp(config, shape)
        case DRAGANConfig():
            return dragan(config, shape)
        case SNGANConfig():
            return sn_gan(config, shape)
        case R3GANConfig():
            return r3gan(config, shape)
        case BEGANConfig():
            return began(config, shape)
        case EBGANConfig():
            return ebgan(config, shape)
        case D2GANConfig():
            return d2gan(config, shape)
        case MGANConfig():
            return mgan(config, shape)
        case UnrolledGANConfig():
            return unrolled_gan(config, shape)
        case LAPGANConfig():
            return lapgan(config, shape)
        case StackedGANConfig():
            return stacked_gan(config, shape)
        case StarGANConfig():
            return star_gan(config, shape)
        case PGGANConfig():
            return pg_gan(config, shape)
        case StyleGANConfig():
            return style_gan(config, shape)
        case StarGANv2Config():
            return star_gan_v2(config, shape)
        case FCN8sConfig():
            return fcn8s(config, shape)
        case ClassifierConfig():
            return classifier(config, shape)


def attribute_systems() -> list[str]:
    """The names of the systems that take attributes as their condition, whatever their params."""
    return [
        config.model_fields["name"].default
        for config in get_args(AnySystemConfig)
        if "condition" in config.needs and not config.exclusive
    ]


def unpaired_systems() -> list[str]:
    """The names of the systems that learn without pairs."""
    return [
        config.model_fields["name"].default
        for config in get_args(AnySystemConfig)
        if "source" in config.needs and not config.paired
    ]
