"""The losses of two discriminators that want opposite things (Nguyen et al. 2017, arXiv:1709.03831, equation 1)."""

import torch.nn.functional as F
from torch import Tensor

_FAR = -20.0  # below which log(softplus(x)) is x to the last bit of float32


def discriminators(
    real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], alpha: float, beta: float
) -> dict[str, Tensor]:
    """What both discriminators minimise, as four scalars.

    The first is high on real pictures and the second on fakes. Of data of density p and fakes of density q their best
    values are alpha p/q and beta q/p.

    Args:
        real, fake: what the first and the second say of pictures, of any shape; their values are the softplus of it.
        alpha, beta: weights of the logarithms; what is small keeps the losses of that discriminator from growing.
    """
    return {
        "real": -alpha * _log_value(real[0]).mean(),
        "fake": F.softplus(fake[0]).mean(),
        "real_second": F.softplus(real[1]).mean(),
        "fake_second": -beta * _log_value(fake[1]).mean(),
    }


def generator(fake: tuple[Tensor, Tensor], beta: float) -> dict[str, Tensor]:
    """What the generator minimises: a high value of the first discriminator, and a low one of the second."""
    return {"adversarial": -F.softplus(fake[0]).mean(), "adversarial_second": beta * _log_value(fake[1]).mean()}


def _log_value(x: Tensor) -> Tensor:
    """log(softplus(x)), finite however far x is below 0, where it is x itself."""
    return F.softplus(x.float().clamp(min=_FAR)).log() + (x.float() - _FAR).clamp(max=0)
