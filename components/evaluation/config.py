"""Params of the evaluate stage."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from components.samples.schema import Section, UserPath

POINT_FIGURES = ("modes", "high_quality", "mode_kl", "mode_js")
PIXEL_FIGURES = ("l1", "psnr", "ssim")
LUMA_FIGURES = ("psnr_y", "ssim_y")  # of pictures that were enlarged
SSIM_WINDOW = 11  # pixels, of the Gaussian window of Wang et al. 2004


class InceptionWeights(Section):
    """The file of Inception 2015-12-05 weights, and its sha256.

    A state dict in torch-fidelity's or pytorch-fid's names: .safetensors, or .pth (read without pickle code).
    """

    path: UserPath
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class EvaluateConfig(Section):
    """How a model is measured; everything except `batch_size` is in the protocol of every metric."""

    features: tuple[Literal["efficientnet_lite0"], ...] = ("efficientnet_lite0",)
    inception: InceptionWeights | None = None
    num_bootstrap: Annotated[int, Field(ge=40)] = 1000
    is_splits: PositiveInt = 10
    seed: NonNegativeInt = 0
    batch_size: PositiveInt = 8

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the feature networks that are used, as metrics are named: `kid_SUFFIX`, or bare for Inception's."""
        return (*self.features, *([""] if self.inception else []))
