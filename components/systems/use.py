"""Use: how people use what was trained, and what must be given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from components.faults import Fault

Need = Literal["source", "condition", "reference"]


@dataclass(frozen=True)
class Given:
    """What a use is given, for N pictures.

    Attributes:
        seeds: (N,) int64; they decide all that is random of each picture, so that it does not depend on
            the others of its batch.
        source: (N, C, H, W), where the use needs one.
        condition: (N, classes), one-hot of a category, 0 and 1 of attributes, where the use needs one.
        towards, share: further seeds (N,) and how far to go from the latents of `seeds` to theirs, (N,) from 0 to 1,
            where pictures are made from noise; or (N, layers), how far the style of each layer goes, of a system with
            `truncates`.
        styles: (N, styles), or (1, styles) for all pictures, weights that sum to 1, of the styles that the use names;
            None: the first that learned.
        reference: (N, C, H, W), a picture of the class that is asked for, where the use needs one.
        truncation: (N,) from -1 to 1, how far each picture goes from the average one, of a system that `truncates`;
            None: all the way, as 1.
    """

    seeds: Tensor
    source: Tensor | None = None
    condition: Tensor | None = None
    towards: Tensor | None = None
    share: Tensor | None = None
    styles: Tensor | None = None
    truncation: Tensor | None = None
    reference: Tensor | None = None


@dataclass(frozen=True)
class Use:
    """How people use what was trained.

    Attributes:
        network: the one that is used. beside: others that it is used with.
        run: `run(network, given)` gives N pictures, of what `of` gives.
        needs: what must be given beside seeds.
        makes: pictures of the task's target, or, of the source, on the way back.
        styles: the names of the styles that may be asked for, alone or mixed.
    """

    network: str
    run: Callable[[nn.Module, Given], Tensor]
    needs: frozenset[Need] = frozenset({"source"})
    makes: Literal["target", "source"] = "target"
    styles: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def networks(self) -> tuple[str, ...]:
        """All that are used."""
        return (self.network, *self.beside)

    def of(self, networks: nn.ModuleDict) -> nn.Module:
        """What `run` takes: the network or, where there are several, all of them by their names."""
        if not self.beside:
            return networks[self.network]
        return nn.ModuleDict({name: networks[name] for name in self.networks})


def of_source(run: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> Callable[[nn.Module, Given], Tensor]:
    """A use's `run` out of a translation of (network, source, seeds)."""

    def given(network: nn.Module, given: Given) -> Tensor:
        assert given.source is not None
        return run(network, given.source, given.seeds)

    return given


def mixture(use: Use, asked: Mapping[str, float]) -> tuple[float, ...]:
    """The weight of each of a use's styles, as they are asked for, made to sum to 1.

    Raises:
        Fault: the use has no styles, or not those; or no weight is above 0, or one is below or is not finite.
    """
    if not use.styles:
        raise Fault(f"style {next(iter(asked), '')}: this system shows nothing in styles; leave it out")
    for name, weight in asked.items():
        if name not in use.styles:
            raise Fault(f"style {name}: is not one of {', '.join(use.styles)}")
        if not 0 <= weight < float("inf"):
            raise Fault(f"style {name}: its weight is {weight:g}; give one from 0 up")
    total = sum(asked.values())
    if not total:
        raise Fault(f"style: give at least one of {', '.join(use.styles)} a weight above 0")
    return tuple(asked.get(name, 0.0) / total for name in use.styles)


def styled(use: Use, asked: Mapping[str, float]) -> Use:
    """A use that shows things in one mixture of its styles, where it is given no other.

    Raises:
        Fault: as `mixture`.
    """
    weights = torch.tensor([mixture(use, asked)])

    def run(network: nn.Module, given: Given) -> Tensor:
        if given.styles is None:
            assert given.source is not None
            given = replace(given, styles=weights.to(given.source.device))
        return use.run(network, given)

    return replace(use, run=run)
