"""The GANs: one small file each, named as its paper. This page lists them."""

from typing import Annotated, get_args

from pydantic import Field

from components.systems.cyclegan import CycleGANConfig, cyclegan
from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.pix2pix import Pix2PixConfig, pix2pix
from components.systems.system import Shape, System

AnySystemConfig = Pix2PixConfig | CycleGANConfig | FCN8sConfig
SystemConfig = Annotated[AnySystemConfig, Field(discriminator="name")]


def build(config: AnySystemConfig, shape: Shape) -> System:
    """Make the system that a config names, with freshly initialised networks."""
    match config:
        case Pix2PixConfig():
            return pix2pix(config, shape)
        case CycleGANConfig():
            return cyclegan(config, shape)
        case FCN8sConfig():
            return fcn8s(config, shape)


def unpaired_systems() -> list[str]:
    """The names of the systems that learn without pairs."""
    return [config.model_fields["name"].default for config in get_args(AnySystemConfig) if not config.paired]
