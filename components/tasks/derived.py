"""A source with further domains, each derived from one that it has."""

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.samples.source import Source
from components.samples.task import Task
from components.tasks.degrade import blurred, edges, enlarged, filled, grey, small
from components.tasks.derive import (
    AnyDerivation,
    BlurredConfig,
    EdgesConfig,
    GreyConfig,
    MaskedConfig,
    SmallConfig,
)
from components.tasks.holes import Hole, box_hole, free_form_hole

HOLES = {"box": box_hole, "free_form": free_form_hole}


@dataclass(frozen=True)
class DerivedSource:
    """Samples of a source, each with further pictures; what is read depends on the sample and the params alone."""

    source: Source
    derivations: Mapping[str, AnyDerivation]
    domains: Mapping[str, Domain]
    task: Task

    @property
    def name(self) -> str:
        """The source's own."""
        return self.source.name

    @property
    def splits(self) -> Mapping[str, Sequence[Any]]:
        """The source's own."""
        return self.source.splits

    def read(self, unit: Any, /) -> dict[str, Picture]:
        """The source's pictures of a unit and, made of them, the derived ones.

        Raises:
            Fault: what the source raises.
        """
        pictures = dict(self.source.read(unit))
        for name, config in self.derivations.items():
            pictures[name] = derive(config, pictures[config.of], unit.key)
        return pictures


def derived(source: Source, derivations: Mapping[str, AnyDerivation], task: Task | None = None) -> DerivedSource:
    """Add derived domains to a source.

    Args:
        source: whose samples they are made of.
        derivations: by the name of the new domain; one may be made of another that stands before it.
        task: the default task, instead of the source's own.

    Raises:
        Fault: one line naming the param that does not fit the source.
    """
    if derivations and any("/" in split for split in source.splits):
        raise Fault(
            f"shard.derive: {source.name} has two sets of pictures that are not aligned; pictures are derived where "
            "each sample holds all domains"
        )
    domains = derived_domains(source.domains, derivations)
    task = task or source.task
    for name in task.domains:
        if name not in domains:
            raise Fault(f"shard.task: {_unknown(name, domains)}")
    return DerivedSource(source, derivations, domains, task)


def derived_domains(domains: Mapping[str, Domain], derivations: Mapping[str, AnyDerivation]) -> dict[str, Domain]:
    """All domains of samples, with their sizes, once further ones are derived.

    Raises:
        Fault: one line naming the param that does not fit the domains or their sizes.
    """
    every = dict(domains)
    for name, config in derivations.items():
        _check(f"shard.derive.{name}", name, config, every)
        height, width = every[config.of].height_width
        factor = config.factor if isinstance(config, SmallConfig) and not config.enlarged else 1
        every[name] = Domain(kind="image", size=(height // factor, width // factor))
    return every


def derive(config: AnyDerivation, photo: Picture, key: str) -> Picture:
    """One derived picture, uint8 RGB, a function of the photo, its sample's key and the params."""
    match config:
        case EdgesConfig():
            return edges(photo, config.low, config.high, config.sigma)
        case GreyConfig():
            return grey(photo)
        case MaskedConfig():
            return filled(photo, hole_of(config, photo.shape[:2], key))
        case SmallConfig():
            shrunk = small(photo, config.factor)
            return enlarged(shrunk, config.factor) if config.enlarged else shrunk
        case BlurredConfig():
            return blurred(photo, config.sigma, config.noise, _generator(config.seed, key))


def hole_of(config: MaskedConfig, size: tuple[int, ...], key: str) -> Hole:
    """Where the hole of the sample `key` is, bool (H, W): it depends on the key and the params, not on the photo."""
    return HOLES[config.shape]((size[0], size[1]), config.share, _generator(config.seed, key))


def _generator(seed: int, key: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _check(where: str, name: str, config: AnyDerivation, domains: Mapping[str, Domain]) -> None:
    if name in domains:
        raise Fault(f"{where}: the source has a domain of that name already; choose another")
    if config.of not in domains:
        raise Fault(f"{where}.of: {_unknown(config.of, domains)}")
    if domains[config.of].kind == "label":
        images = ", ".join(other for other, domain in domains.items() if domain.kind == "image")
        raise Fault(
            f"{where}.of: {config.of} is a label map; pictures are derived from images: {images or 'none here'}"
        )
    size = domains[config.of].height_width
    if isinstance(config, SmallConfig) and any(side % config.factor for side in size):
        raise Fault(f"{where}.factor: {config.factor} does not divide the {size[0]}x{size[1]} pixels of {config.of}")


def _unknown(name: str, domains: Mapping[str, Domain]) -> str:
    close = difflib.get_close_matches(name, domains, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{name}: no such domain; {hint}there are {', '.join(domains)}"
