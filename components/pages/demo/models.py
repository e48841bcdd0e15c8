"""What the demo serves: versions of a registered model, loaded, and put together by what they translate."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from components.faults import Fault
from components.models.asked import alike
from components.models.card import Card
from components.models.generator import Generator
from components.pages.demo.samples import Samples, find_samples
from components.samples.domain import Domain, Picture
from components.storage.home import AnyPath
from components.storage.scratch import scratch
from components.tasks.encoding import render
from components.tracking.store import Store
from components.tracking.versions import Version, fetch_version, find_version, list_versions, version_of_training

CHAMPION, CANDIDATE = "champion", "candidate"
_CLASSES = 12  # that the page has a place for


@dataclass(frozen=True)
class Model:
    """A version of a registered model, ready to translate."""

    version: Version
    generator: Generator

    @property
    def card(self) -> Card:
        """What it was made with."""
        return self.generator.card


@dataclass(frozen=True)
class Easel:
    """One kind of source, and every model that translates it.

    Attributes:
        models: all of one task, of sources and targets that are alike.
        samples: test samples, or why there are none.
        drawn: whether the source is a drawing in black and white.
        kind: the index of the class that all show pictures in, where they can show several.
    """

    models: tuple[Model, ...]
    samples: Samples | str
    drawn: bool
    kind: int | None = None

    @property
    def name(self) -> str:
        """What requests call it."""
        return self.card.name if self.kind is None else f"{self.card.name}_{self.kind}"

    @property
    def title(self) -> str:
        """The same as people read it, such as labels to photo, or picture to twemoji."""
        condition = self.card.condition
        if self.kind is None or condition is None:
            return self.card.task.title
        return f"{self.card.task.target} to {condition.classes[self.kind]}"

    @property
    def attributes(self) -> Domain | None:
        """What is asked for with each source, where models show pictures with other attributes; else None."""
        condition = self.card.condition
        return condition if self.card.task.within and condition is not None and not condition.exclusive else None

    @property
    def card(self) -> Card:
        """Of the first model; the task and the size are those of all."""
        return self.models[0].card

    @property
    def source(self) -> Domain:
        """What is drawn."""
        return self.models[0].generator.source

    @property
    def bytes(self) -> int:
        """Of a source."""
        return int(np.prod(self.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a source: (H, W, 3), or (H, W) for labels."""
        return self.source.shape

    def translate(self, source: Picture, condition: Picture | None = None) -> list[Picture]:
        """What each model makes of a source, as people see it: uint8 (H, W, 3).

        Args:
            condition: the attributes that are asked for, where there are such.

        Raises:
            Fault: a label outside the classes, or a model gives values that are not finite.
        """
        asked = [
            model.generator if condition is None else model.generator.in_condition(condition) for model in self.models
        ]
        return [self.render(generator.translate(source[None], padded=False))[0] for generator in asked]

    def render(self, targets: np.ndarray) -> np.ndarray:
        """Targets (N, H, W[, 3]) as people see them."""
        return render(self.card.target, targets)


def choose_versions(store: Store, model: str, which: Sequence[str]) -> tuple[list[Version], str]:
    """The versions that are asked for, each once.

    Args:
        which: numbers or aliases; none is the champion or, where there is none yet, the candidate.

    Returns:
        The versions in that order, and what people should know of the choice (or nothing).

    Raises:
        Fault: there is no such version.
    """
    if which:
        found = [find_version(store, model, name) for name in which]
        return list({version.number: version for version in found}.values()), ""
    there = list_versions(store, model)
    for alias in (CHAMPION, CANDIDATE):
        for version in there:
            if alias in version.aliases:
                note = f"{model} has no champion yet, so this is its candidate, version {version.number}"
                return [version], "" if alias == CHAMPION else note
    numbers = ", ".join(str(version.number) for version in there[:20])
    raise Fault(f"{model} has no champion and no candidate; name a version of it with --version: {numbers or 'none'}")


def load_models(store: Store, versions: Sequence[Version]) -> list[Model]:
    """Load versions of one model.

    Raises:
        Fault: an artifact is missing or is not what was registered, or two versions are not of one task.
    """
    models = [_load(store, version) for version in versions]
    for model in models[1:]:
        _require_one_task(models[0], model)
    return models


def load_easels(store: Store, forward: Sequence[Model], shards: AnyPath) -> list[Easel]:
    """What can be drawn for models that translate; where a system goes both ways, with the way back of its trainings.

    Where they show pictures in the classes of a category there is one for each of the first classes; of attributes one
    with a choice of them.

    Raises:
        Fault: an artifact is missing or is not what was registered, or a model needs a picture for its style.
    """
    card = forward[0].card
    if card.task.reference is not None:
        raise Fault(
            f"{forward[0].version.name} makes {card.task.title}, and the page has no place for one; use pix2pipe "
            "translate --reference"
        )
    if card.task.within and card.condition is not None and card.condition.exclusive:
        return [_in_class(_easel(forward, shards), kind) for kind in range(len(card.condition.classes[:_CLASSES]))]
    easels = [_easel(forward, shards)]
    backward = [_load(store, version) for model in forward if (version := _way_back(store, model))]
    if backward:
        easels.append(_easel(backward, shards))
    return easels


def _load(store: Store, version: Version) -> Model:
    with scratch() as folder:
        generator = Generator.load(fetch_version(store, version, Path(folder)))
    sys.stderr.write(f"pix2pipe: loaded {version.name}, weights {generator.card.weights_sha256[:12]}\n")
    return Model(version, generator)


def _way_back(store: Store, model: Model) -> Version | None:
    if model.card.makes == "source" or model.card.task.source is None:
        return None
    back = model.card.task.back().title.replace(" ", "-")
    return version_of_training(store, f"{model.version.model}-{back}", model.card.key)


def _easel(models: Sequence[Model], shards: AnyPath) -> Easel:
    card = models[0].card
    samples = find_samples(shards, card)
    edges = models[0].generator.source.kind == "image" and card.task.source == "edges"
    drawn = samples.drawn if isinstance(samples, Samples) else edges
    return Easel(tuple(models), samples, drawn)


def _in_class(easel: Easel, kind: int) -> Easel:
    """The same, with every model asked for one class."""
    condition = easel.card.condition
    assert condition is not None
    name = condition.classes[kind]
    models = tuple(replace(model, generator=model.generator.in_condition(name)) for model in easel.models)
    return replace(easel, models=models, kind=kind)


def _require_one_task(first: Model, second: Model) -> None:
    ours, theirs = _task(first.card), _task(second.card)
    ends = ("source", "target", "condition")
    same = all(alike(getattr(first.card, end), getattr(second.card, end)) for end in ends)
    if ours != theirs or not same:
        what = f"{theirs}, and {first.version.name} {ours}" if ours != theirs else f"{ours} of other classes"
        raise Fault(
            f"{second.version.name} makes {what}; only versions of one task can be shown side by side: leave one of "
            "them out"
        )


def _task(card: Card) -> str:
    height, width = card.target.height_width
    return f"{card.task.title} at {width}x{height}"
