"""Adversarial losses: what a discriminator's logits ask of it and of the generator."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

AdversarialName = Literal["vanilla", "minimax", "lsgan", "hinge", "wasserstein"]
_LOGITS = 4096
SEEN = "seen."  # what a scalar's name in a batch begins with that is logged, and that nothing learns from


@dataclass(frozen=True)
class Adversarial:
    """A pair of losses over logits of any shape, each a scalar mean.

    `real` and `fake` are the discriminator's losses on real and fake pictures, `generator` is what the
    generator minimises on its own fakes.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]

    def discriminator(
        self, batch: dict[str, Tensor], fake: Tensor, real: Tensor, end: str = "", share: float = 0.5
    ) -> dict[str, Tensor]:
        """A discriminator's two terms, `fakeEND` and `realEND`, of its logits on fakes and real pictures.

        Each is multiplied by `share`: halved, as pix2pix and CycleGAN have it, or 1. Leaves `seen.told_apartEND` in the
        batch, for the log.
        """
        batch[f"{SEEN}told_apart{end}"] = told_apart(fake, real)
        return {f"fake{end}": share * self.fake(fake), f"real{end}": share * self.real(real)}


class Relativistic:
    """The loss of pairs of a real and a fake picture (Jolicoeur-Martineau 2018, arXiv:1807.00734), in which the
    discriminator says how much more real the real one of each pair looks."""

    def discriminator(self, batch: dict[str, Tensor], fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """The discriminator's one term, of the logits of as many fakes as real pictures; leaves what `Adversarial`
        leaves."""
        batch[f"{SEEN}told_apart"] = told_apart(fake, real)
        return {"pairs": F.softplus(fake - real).mean()}

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """What the generator minimises, of the same pairs."""
        return F.softplus(real - fake).mean()


@torch.no_grad()
def told_apart(fake: Tensor, real: Tensor) -> Tensor:
    """How often a logit of a real picture is above one of a fake, of all their pairs: a scalar from 0 to 1.

    1: no fake looks as real as anything real. 0.5: they look alike. 0: every fake looks more real. Only the order
    of the logits matters, so it says the same for every objective. Of many logits, some thousands evenly taken.
    """
    below, above = _some(fake).sort().values, _some(real)
    ranks = torch.searchsorted(below, above) + torch.searchsorted(below, above, right=True)  # of equals, half
    return 0.5 * ranks.float().mean() / len(below)


def _some(logits: Tensor) -> Tensor:
    flat = logits.float().flatten()
    return flat[:: max(1, len(flat) // _LOGITS)].contiguous()


def _bce(label: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _squared(label: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: (logits - label).square().mean()


def _hinge(sign: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.relu(1 - sign * logits).mean()


def _mean(sign: float) -> Callable[[Tensor], Tensor]:
    return lambda logits: -sign * logits.mean()


ADVERSARIAL: dict[AdversarialName, Adversarial] = {
    # Goodfellow et al. 2014 (arXiv:1406.2661), with the non-saturating generator of its section 3.
    "vanilla": Adversarial(_bce(1.0), _bce(0.0), _bce(1.0)),
    # The same with the generator of its equation 1, which raises the loss that the discriminator lowers.
    "minimax": Adversarial(_bce(1.0), _bce(0.0), lambda logits: -F.softplus(logits).mean()),
    # Mao et al. 2017 (arXiv:1611.04076), labels 1 and 0.
    "lsgan": Adversarial(_squared(1.0), _squared(0.0), _squared(1.0)),
    # Lim and Ye 2017 (arXiv:1705.02894); Miyato et al. 2018 (arXiv:1802.05957).
    "hinge": Adversarial(_hinge(1.0), _hinge(-1.0), _mean(1.0)),
    # Arjovsky et al. 2017 (arXiv:1701.07875); the critic needs a Lipschitz constraint of its own.
    "wasserstein": Adversarial(_mean(1.0), _mean(-1.0), _mean(1.0)),
}

_OF_LABEL: dict[AdversarialName, Callable[[float], Callable[[Tensor], Tensor]]] = {
    "vanilla": _bce,
    "minimax": _bce,
    "lsgan": _squared,
}


def one_sided(name: AdversarialName, label: float) -> Adversarial:
    """A loss whose discriminator wants `label` of real pictures, and of fakes 0 as ever (Salimans et al. 2016,
    arXiv:1606.03498, section 3.4). The generator's part stays as it is.

    Raises:
        ValueError: another label than 1 of a loss that has no labels.
    """
    if label == 1:
        return ADVERSARIAL[name]
    if name not in _OF_LABEL:
        raise ValueError(f"real_label goes with adversarial {', '.join(_OF_LABEL)}; {name} has no labels")
    return replace(ADVERSARIAL[name], real=_OF_LABEL[name](label))
