"""Two translators between the domains of a task, one a way, for systems that learn both at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from components.systems.parts import AnyGeneratorConfig, make_generator
from components.systems.system import Shape, Translation, output


@dataclass(frozen=True)
class TwoWays:
    """`generator` from source to target (the papers' G) and `generator_back` from target to source (their F)."""

    shape: Shape

    def networks(self, config: AnyGeneratorConfig) -> dict[str, nn.Module]:
        """Both, freshly initialised."""
        source, target, size = self.shape.source, self.shape.target, self.shape.size
        return {
            "generator": make_generator(config, source, target, size),
            "generator_back": make_generator(config, target, source, size),
        }

    def forward(self, network: nn.Module, source: Tensor, seeds: Tensor) -> Tensor:
        """The target of a source, (N, C, H, W)."""
        return output(self.shape.target, network(source, seeds))

    def backward(self, network: nn.Module, target: Tensor, seeds: Tensor) -> Tensor:
        """The source of a target, (N, C, H, W)."""
        return output(self.shape.source, network(target, seeds))

    @property
    def translations(self) -> Mapping[str, Translation]:
        """Both, as the stages use them."""
        return {
            "forward": Translation("generator", self.forward),
            "backward": Translation("generator_back", self.backward, reverse=True),
        }
