"""Metrics of each picture against its own true picture."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from components.evaluation.config import SSIM_WINDOW
from components.faults import Fault

_SIGMA = 1.5  # pixels, of the Gaussian window of Wang et al. 2004
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def l1(pictures: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference in grey levels, 0 to 255; uint8 (N, H, W, 3) twice -> (N,)."""
    return (pictures.double() - real.double()).abs().flatten(1).mean(1)


def psnr(pictures: Tensor, real: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB at a data range of 255, (N,).

    Equal pictures, whose ratio is infinite, get that of pictures that differ by 1 in one channel of one pixel.
    """
    a, b = pictures.double(), real.double()
    ratios = torch.stack([peak_signal_noise_ratio(x, y, data_range=255.0) for x, y in zip(a, b, strict=True)])
    ceiling = 10 * torch.log10(torch.tensor(255.0**2 * a[0].numel(), dtype=a.dtype))
    return ratios.clamp(max=float(ceiling))


def luma(pictures: Tensor, border: int) -> Tensor:
    """Y of YCbCr (ITU-R BT.601), 16 to 235 and not rounded, without `border` pixels at each edge, as papers on
    super-resolution compare pictures; uint8 (N, H, W, 3) -> float64 (N, H - 2 border, W - 2 border, 1).

    Raises:
        Fault: the border leaves nothing.
    """
    height, width = pictures.shape[1:3]
    if min(height, width) <= 2 * border:
        raise Fault(f"a border of {border} pixels leaves nothing of pictures of {height}x{width}")
    inner = pictures[:, border : height - border, border : width - border].double()
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=inner.dtype) / 255
    return 16 + (inner * weights).sum(-1, keepdim=True)


def ssim(pictures: Tensor, real: Tensor, reflect: bool = True) -> Tensor:
    """Structural similarity (Wang et al. 2004), -1 to 1, data range 255, 11-pixel Gaussian of sigma 1.5; (N,).

    Args:
        pictures, real: (N, H, W, C) of one shape.
        reflect: whether windows reach over the edges, where pictures are reflected, as torchmetrics has it; without,
            only those that lie within the picture count, as in the authors' code.

    Raises:
        Fault: pictures smaller than the window.
    """
    if min(pictures.shape[1:3]) < SSIM_WINDOW:
        raise Fault(f"SSIM needs pictures of {SSIM_WINDOW} pixels a side; these are {tuple(pictures.shape[1:3])}")
    a, b = (x.permute(0, 3, 1, 2).double() for x in (pictures, real))
    if reflect:
        a, b = (F.pad(x, (SSIM_WINDOW // 2,) * 4, mode="reflect") for x in (a, b))
    mean_a, mean_b = _window(a), _window(b)
    var_a = (_window(a * a) - mean_a**2).clamp_min(0)
    var_b = (_window(b * b) - mean_b**2).clamp_min(0)
    covariance = _window(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (var_a + var_b + _C2)
    return (luminance * structure).flatten(1).mean(1)


def _window(x: Tensor) -> Tensor:
    """Gaussian means of the windows that lie within the picture: torchmetrics' dense window, rows then columns."""
    offsets = torch.arange(SSIM_WINDOW, dtype=x.dtype) - SSIM_WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    weights /= weights.sum()
    for axis in (2, 3):
        size = x.shape[axis] - SSIM_WINDOW + 1
        parts = [weight * x.narrow(axis, start, size) for start, weight in enumerate(weights)]
        x = torch.stack(parts).sum(0)
    return x
