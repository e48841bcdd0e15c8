"""Figures of a picture against its own true one, image by image."""

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from components.faults import Fault

_WINDOW = 11  # pixels of the Gaussian window of Wang et al. 2004


def l1(pictures: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference in grey levels, 0 to 255; uint8 (N, H, W, 3) twice -> (N,)."""
    return (pictures.double() - real.double()).abs().flatten(1).mean(1)


def psnr(pictures: Tensor, real: Tensor) -> Tensor:
    """Peak signal to noise ratio in dB at a data range of 255, (N,).

    Equal pictures, whose ratio is infinite, are given that of one channel of one pixel off by one.
    """
    a, b = pictures.double(), real.double()
    ratios = torch.stack([peak_signal_noise_ratio(x, y, data_range=255.0) for x, y in zip(a, b, strict=True)])
    ceiling = 10 * torch.log10(torch.tensor(255.0**2 * a[0].numel(), dtype=a.dtype))
    return ratios.clamp(max=float(ceiling))


def ssim(pictures: Tensor, real: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), -1 to 1, data range 255, 11-pixel Gaussian of sigma 1.5; (N,).

    Raises:
        Fault: pictures smaller than the window.
    """
    if min(pictures.shape[1:3]) < _WINDOW:
        raise Fault(f"SSIM needs pictures of {_WINDOW} pixels a side; these are {tuple(pictures.shape[1:3])}")
    a, b = (x.permute(0, 3, 1, 2).double() for x in (pictures, real))
    similarity = structural_similarity_index_measure(a, b, data_range=255.0, reduction="none")
    if not isinstance(similarity, Tensor):
        raise TypeError(type(similarity))
    return similarity.view(-1)
