"""The GANs: one small file each, named as its paper. This page lists them."""

from typing import Annotated

from pydantic import Field

from components.systems.fcn8s import FCN8sConfig, fcn8s
from components.systems.pix2pix import Pix2PixConfig, pix2pix
from components.systems.system import Shape, System

AnySystemConfig = Pix2PixConfig | FCN8sConfig
SystemConfig = Annotated[AnySystemConfig, Field(discriminator="name")]


def build(config: AnySystemConfig, shape: Shape) -> System:
    """Make the system that a config names, with freshly initialised networks."""
    match config:
        case Pix2PixConfig():
            return pix2pix(config, shape)
        case FCN8sConfig():
            return fcn8s(config, shape)
