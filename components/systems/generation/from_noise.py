"""What systems that make pictures from noise have in common: latents, their one use, and how they are validated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from components.faults import Fault
from components.networks.dcgan import base_of
from components.networks.noise import latents
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.samples.domain import POINT_SIZE, Domain
from components.systems.system import (
    Batch,
    Given,
    Memory,
    Need,
    Phase,
    Published,
    Shape,
    System,
    SystemSection,
    Terms,
    Use,
    output,
)

Prior = Literal["normal", "uniform"]


class NoiseSection(SystemSection):
    """Params of every system that makes pictures from noise.

    Attributes:
        latent: values of a latent. prior: unit normal, or uniform from -1 to 1.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()
    latent: PositiveInt = 100
    prior: Prior = "normal"


@dataclass(frozen=True)
class FromNoise:
    """Pictures of a task's target, each from the latent that its seed decides and, where the system takes one, of a
    condition.

    Attributes:
        activation: of what the network gives, as the domain of the target wants it.
    """

    shape: Shape
    config: NoiseSection
    activation: Callable[[Domain, Tensor], Tensor] = output

    def draw(self, network: nn.Module, seeds: Tensor, condition: Tensor | None, draw: int = 0) -> Tensor:
        """Pictures (N, C, H, W), after their output activation.

        Args:
            draw: another number takes other latents for the same seeds, as another phase of a step wants them.
        """
        return self._made(network, self._latents(network, seeds, draw), condition)

    def use(self) -> Use:
        """How people use the network `generator`."""

        def run(network: nn.Module, given: Given) -> Tensor:
            latent = self._latents(network, given.seeds)
            if given.towards is not None:
                latent = between(latent, self._latents(network, given.towards), given.share)
            return self._made(network, latent, given.condition)

        return Use("generator", run, needs=self.config.needed)

    def system(
        self,
        networks: Mapping[str, nn.Module],
        phases: Sequence[Phase],
        published: Published,
        memories: Mapping[str, Memory] | None = None,
    ) -> System:
        """A system whose network `generator` makes the pictures."""
        return System(
            networks=nn.ModuleDict(networks),
            phases=tuple(phases),
            uses={"generator": self.use()},
            validation=self.validation,
            averaged=("generator",),
            memories=memories or {},
            published=published,
        )

    def validation(self, networks: nn.ModuleDict, batch: Batch) -> Terms:
        """`distance`: how far pictures of the batch's seeds are from its real ones."""
        fake = self.draw(networks["generator"], batch["seeds"], batch.get("condition"))
        patches = {"patch": 1, "stride": 1} if self.shape.target.kind == "point" else {}
        return {"distance": sliced_wasserstein(fake, batch["target"], **patches)}

    def _latents(self, network: nn.Module, seeds: Tensor, draw: int = 0) -> Tensor:
        device = next(network.parameters()).device
        return latents(seeds, self.config.latent, device, self.config.prior, draw)

    def _made(self, network: nn.Module, latent: Tensor, condition: Tensor | None) -> Tensor:
        given = () if condition is None else (condition,)
        return self.activation(self.shape.target, network(latent, *given))


def between(first: Tensor, second: Tensor, share: Tensor | None) -> Tensor:
    """Latents on the arc from some to others (N, size), which keeps the length that a prior gives them.

    Args:
        share: (N,), 0 at the first and 1 at the second.
    """
    assert share is not None
    t = share.to(first)[:, None]
    lengths = first.norm(dim=1, keepdim=True), second.norm(dim=1, keepdim=True)
    cosine = ((first * second).sum(dim=1, keepdim=True) / (lengths[0] * lengths[1])).clamp(-1, 1)
    angle = torch.acos(cosine).clamp(min=1e-4)
    mixed = (torch.sin((1 - t) * angle) * first / lengths[0] + torch.sin(t * angle) * second / lengths[1]) / torch.sin(
        angle
    )
    return mixed * ((1 - t) * lengths[0] + t * lengths[1])


def require_levels(name: str, size: tuple[int, int], levels: int | None = None) -> None:
    """Refuse sizes that stride-2 levels cannot divide, and points.

    Args:
        levels: how many there are; None: as many as bring the shorter side down to 4 to 7 pixels.

    Raises:
        Fault: naming the multiple that sides must be of.
    """
    if size == POINT_SIZE:
        raise Fault(
            f"system {name} has networks for pictures alone, and the target is points; dcgan and gan make points"
        )
    levels = base_of(size)[1] if levels is None else levels
    if min(size) < 8 or any(side % 2**levels for side in size):
        times = max(levels, 1)
        raise Fault(
            f"system {name} halves the sides {times} times: they must be multiples of {2**times} and 8 or more, not "
            f"{size[0]}x{size[1]}; set another shard.cut.image_size"
        )


def refuse_points(name: str, size: tuple[int, int]) -> None:
    """Refuse points, for a system that has networks for pictures alone.

    Raises:
        Fault: naming the system, and others.
    """
    if size == POINT_SIZE:
        raise Fault(
            f"system {name} has networks for pictures alone, and the target is points; dcgan and gan make points"
        )
