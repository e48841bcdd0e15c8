"""Params of derived domains: pictures made of a photo, for tasks that need no second picture."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from components.samples.schema import Section

Share = Annotated[float, Field(gt=0, le=0.9)]


class EdgesConfig(Section):
    """A drawing of the photo's outlines, black on white, by the detector of Canny (1986).

    Attributes:
        of: the domain it is made of.
        low, high: of the slope of the smoothed grey photo in [0, 1], as the length of its two Sobel sums, where
            a step from black to white before smoothing is 4: a line begins above `high` and goes on above `low`.
        sigma: of the smoothing, in pixels; larger keeps fewer, coarser lines.
    """

    name: Literal["edges"] = "edges"
    of: str
    low: NonNegativeFloat = 0.1
    high: NonNegativeFloat = 0.2
    sigma: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        return self


class GreyConfig(Section):
    """The photo's brightness (ITU-R BT.601), in three equal channels.

    Attributes:
        of: the domain it is made of.
    """

    name: Literal["grey"] = "grey"
    of: str


class MaskedConfig(Section):
    """The photo with a hole, filled with mean grey; each sample has its own.

    Attributes:
        of: the domain it is made of.
        shape: box, of the picture's proportions; or free_form, the strokes of a brush.
        share: least and most of the picture that is hole; each sample's is drawn between them.
        seed: another gives other holes.
    """

    name: Literal["masked"] = "masked"
    of: str
    shape: Literal["box", "free_form"] = "box"
    share: tuple[Share, Share] = (0.1, 0.3)
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.share[0] > self.share[1]:
            raise ValueError(f"share runs from the least to the most, not from {self.share[0]:g} to {self.share[1]:g}")
        return self


class SmallConfig(Section):
    """The photo shrunk, bicubic.

    Attributes:
        of: the domain it is made of.
        factor: how many pixels a side become one; divides both sides of a sample.
        enlarged: whether it is enlarged again to the photo's size, bicubic, for systems whose pictures have the size of
            their sources (as Dong et al. 2014, arXiv:1501.00092).
    """

    name: Literal["small"] = "small"
    of: str
    factor: Annotated[int, Field(ge=2)] = 4
    enlarged: bool = False


class BlurredConfig(Section):
    """The photo out of focus: a Gaussian blur, then noise.

    Attributes:
        of: the domain it is made of.
        sigma: of the blur, in pixels.
        noise: standard deviation of the noise, in grey levels of 255, each channel by itself.
        seed: another gives other noise.
    """

    name: Literal["blurred"] = "blurred"
    of: str
    sigma: PositiveFloat = 1.5
    noise: NonNegativeFloat = 0.0
    seed: NonNegativeInt = 0


AnyDerivation = EdgesConfig | GreyConfig | MaskedConfig | SmallConfig | BlurredConfig
Derivation = Annotated[AnyDerivation, Field(discriminator="name")]
