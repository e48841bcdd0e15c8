"""Two translators between the domains of a task, one a way, for systems that learn both at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from components.networks.patchgan import PatchSize
from components.objectives.sliced_wasserstein import sliced_wasserstein
from components.systems.parts import AnyGeneratorConfig, PatchGANConfig, make_generator, make_patchgan
from components.systems.system import Batch, Shape, Terms, Use, of_source, output


class RoundTrips(NamedTuple):
    """Both sides there, `fake` of the target and `fake_back` of the source, and home again, `source` and `target`."""

    fake: Tensor
    fake_back: Tensor
    source: Tensor
    target: Tensor


@dataclass(frozen=True)
class TwoWays:
    """`generator` from source to target (the papers' G) and `generator_back` from target to source (their F)."""

    shape: Shape

    def generators(self, config: AnyGeneratorConfig) -> dict[str, nn.Module]:
        """Both, freshly initialised."""
        source, target = self.shape.source, self.shape.target
        return {
            "generator": make_generator(config, source, target),
            "generator_back": make_generator(config, target, source),
        }

    def discriminators(self, config: PatchGANConfig, patch_size: PatchSize) -> dict[str, nn.Module]:
        """`discriminator` of the target (the papers' D_Y) and `discriminator_back` of the source (their D_X)."""
        return {
            "discriminator": make_patchgan(config, self.shape.target.channels, patch_size),
            "discriminator_back": make_patchgan(config, self.shape.source.channels, patch_size),
        }

    def forward(self, network: nn.Module, source: Tensor, seeds: Tensor) -> Tensor:
        """The target of a source, (N, C, H, W)."""
        return output(self.shape.target, network(source, seeds))

    def backward(self, network: nn.Module, target: Tensor, seeds: Tensor) -> Tensor:
        """The source of a target, (N, C, H, W)."""
        return output(self.shape.source, network(target, seeds))

    def round_trips(self, networks: nn.ModuleDict, batch: Batch) -> RoundTrips:
        """A batch translated and translated back."""
        source, target, seeds = batch["source"], batch["target"], batch["seeds"]
        there, home = networks["generator"], networks["generator_back"]
        fake = self.forward(there, source, seeds)
        fake_back = self.backward(home, target, seeds)
        return RoundTrips(fake, fake_back, self.backward(home, fake, seeds), self.forward(there, fake_back, seeds))

    def validation(
        self, name: str, loss: Callable[[Tensor, Tensor], Tensor]
    ) -> Callable[[nn.ModuleDict, Batch], Terms]:
        """Means over both sides: `distance` of the fakes to the domain, and, by `name`, the loss of the round trips."""

        def validation(networks: nn.ModuleDict, batch: Batch) -> Terms:
            source, target = batch["source"], batch["target"]
            trips = self.round_trips(networks, batch)
            there, back = sliced_wasserstein(trips.fake, target), sliced_wasserstein(trips.fake_back, source)
            return {
                "distance": 0.5 * (there + back),
                name: 0.5 * (loss(trips.source, source) + loss(trips.target, target)),
            }

        return validation

    @property
    def uses(self) -> Mapping[str, Use]:
        """Both, as the stages use them."""
        return {
            "forward": Use("generator", of_source(self.forward)),
            "backward": Use("generator_back", of_source(self.backward), makes="source"),
        }
