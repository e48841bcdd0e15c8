"""Tricks that any generator and discriminator from noise may have, as params; none is on by default."""

from collections.abc import Callable, Mapping

import torch
from pydantic import NonNegativeFloat, NonNegativeInt
from torch import Tensor, nn

from components.faults import Fault
from components.objectives.diff_augment import AugmentName, diff_augment
from components.objectives.historical_average import HistoricalAverage
from components.objectives.history import History
from components.samples.domain import Domain
from components.systems.generation.from_noise import NoiseSection
from components.systems.system import Batch, Memory, Terms

# Streams of a step's seeds from which the changes of pictures are drawn; those of its latents are 0 and 1.
FAKES, REALS, PENALISED, MADE, COMPARED = range(2, 7)


class TricksSection(NoiseSection):
    """Params of the tricks.

    Attributes:
        history_size: fakes that are kept of past steps, from which half of what the discriminator is shown is drawn
            (Shrivastava et al. 2017, arXiv:1612.07828); 0: none.
        lambda_historical: weight of each network's squared distance from the mean of its past weights (Salimans et al.
            2016, arXiv:1606.03498).
        diff_augment: how pictures are changed before the discriminator sees them, in this order: colour, translation,
            cutout (Zhao et al. 2020, arXiv:2006.10738).
    """

    history_size: NonNegativeInt = 0
    lambda_historical: NonNegativeFloat = 0.0
    diff_augment: tuple[AugmentName, ...] = ()


class Tricks:
    """What the params ask for, of pictures of a domain.

    Raises:
        Fault: changes that such pictures do not allow.
    """

    def __init__(self, config: TricksSection, target: Domain) -> None:
        self.config = config
        if config.diff_augment and target.kind == "point":
            raise Fault("system.diff_augment: points are not changed; set it to []")
        if "colour" in config.diff_augment and not target.in_colour:
            raise Fault(
                "system.diff_augment: colour needs pictures in colour; leave it out, or set train.labels: colour"
            )
        self._history = History(config.history_size) if config.history_size else None
        networks = ("generator", "discriminator") if config.lambda_historical else ()
        self._means = {network: HistoricalAverage() for network in networks}

    @property
    def memories(self) -> Mapping[str, Memory]:
        """What a checkpoint has to keep."""
        history: dict[str, Memory] = {} if self._history is None else {"history": self._history}
        return history | {f"{network}_mean": mean for network, mean in self._means.items()}

    def shown(self, fake: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The fakes that the discriminator is shown, detached, each with the condition that it was made of."""
        fake = fake.detach()
        if self._history is None:
            return fake, condition
        if condition is None:
            return self._history.draw(fake), None
        planes = condition[:, :, None, None].to(fake.dtype).expand(-1, -1, *fake.shape[2:])
        drawn = self._history.draw(torch.cat([fake, planes], dim=1))
        pictures, planes = drawn.split([fake.shape[1], condition.shape[1]], dim=1)
        return pictures, planes[:, :, 0, 0].to(condition.dtype)

    def judge(
        self, networks: nn.ModuleDict, batch: Batch, stream: int, condition: Tensor | None = None
    ) -> Callable[[Tensor], Tensor]:
        """The discriminator as it sees pictures of this step: changed, and with a condition, by default the batch's."""
        condition = batch.get("condition") if condition is None else condition
        given = () if condition is None else (condition,)

        def judged(pictures: Tensor) -> Tensor:
            seen = diff_augment(pictures, self.config.diff_augment, batch["seeds"], stream)
            logits: Tensor = networks["discriminator"](seen, *given)
            return logits

        return judged

    def historical(self, networks: nn.ModuleDict, name: str) -> Terms:
        """The term that holds a network near its past, or none."""
        if name not in self._means:
            return {}
        return {"historical": self.config.lambda_historical * self._means[name].distance(networks[name])}
