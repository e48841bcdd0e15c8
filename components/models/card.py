"""Card: the file beside a generator's weights, with everything that is needed to run it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError, model_validator

from components.faults import Fault
from components.samples.condition import listed_classes, parse_condition
from components.samples.domain import Domain, Picture
from components.samples.schema import Section
from components.samples.task import Task
from components.storage.files import read_json
from components.systems import SystemConfig
from components.systems.system import Shape

CARD, WEIGHTS = "generator.json", "generator.safetensors"


class GenerateConfig(Section):
    """How test pictures are made.

    Attributes:
        checkpoint: `last`, or `best` by what `train.best_by` names.
        mode: of BatchNorm and dropout. `train` is the authors' way for pix2pix: statistics of the picture
            itself (batches of one) and dropout as noise. `eval` uses running statistics and no dropout.
        batch_size: pictures made at once.
        count: of a system without a source, how many pictures; null: as many as the test split has.
        style: weights of the styles that pictures are shown in, for a system that has some; they are made to sum to 1.
            Empty is the first that learned.
        num_workers: ranks that share the pictures, through Ray; 0 is this process with every core.
    """

    checkpoint: Literal["last", "best"] = "last"
    mode: Literal["train", "eval"] = "eval"
    batch_size: PositiveInt = 16
    count: PositiveInt | None = None
    style: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    num_workers: NonNegativeInt = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"


class Card(Section):
    """One use of a trained system.

    Attributes:
        use: its name in the system. makes: as there.
        task: what it makes of what, as this use takes it: on the way back the system's source is its target.
        source, target, condition: the domains of `task`, None where it has none.
        style: as of GenerateConfig.
    """

    system: SystemConfig
    use: str
    makes: Literal["target", "source"] = "target"
    task: Task
    source: Domain | None
    target: Domain
    condition: Domain | None = None
    style: dict[str, NonNegativeFloat] = Field(default_factory=dict, exclude_if=lambda style: not style)
    mode: Literal["train", "eval"]
    batch_size: PositiveInt
    checkpoint: str
    step: int
    key: str
    weights_sha256: str

    @model_validator(mode="before")
    @classmethod
    def _one_size(cls, values: Any) -> Any:
        """A card in which one size stands for all domains, as registered versions had it before."""
        if not isinstance(values, dict) or "size" not in values:
            return values
        size = values["size"]
        pictures = {
            end: domain | {"size": size}
            for end in ("source", "target")
            if isinstance(domain := values.get(end), dict) and domain.get("kind") in ("image", "label")
        }
        return {name: value for name, value in values.items() if name != "size"} | pictures

    @property
    def name(self) -> str:
        """What its folders and its metrics are filed under, such as labels_to_photo."""
        return self.task.name

    def shape(self) -> Shape:
        """What its system was built for, whichever way this use goes."""
        if self.makes == "source":
            assert self.source is not None
            return Shape(self.target, self.source, asked=self.condition)
        return Shape(self.source, self.target, asked=self.condition)


def condition_of(card: Card, text: str, where: str = "condition") -> Picture:
    """What text asks for (`parse_condition`).

    Raises:
        Fault: no condition is asked for, or there is no such class; it names those that there are.
    """
    if card.condition is None:
        raise Fault(f"{where} {text}: {card.system.name} makes {card.task.title} without one; leave it out")
    return parse_condition(card.condition, text, where)


def count_given(
    card: Card,
    needs: Collection[str],
    sources: np.ndarray | None,
    conditions: np.ndarray | None,
    seeds: Sequence[int] | None,
    references: np.ndarray | None,
) -> int:
    """How many pictures a generator is asked for.

    Args:
        needs: of the generator. The others are as of `Generator.make`.

    Raises:
        Fault: something that it needs is not given, or is of another size, kind or dtype; or not as many of each.
    """
    for need, values in (("source", sources), ("condition", conditions), ("reference", references)):
        if (need in needs) != (values is not None):
            has = "needs" if need in needs else "takes no"
            raise Fault(f"{card.system.name} {has} {need} for {card.task.title}")
    for pictures, domain in ((sources, card.source), (references, card.target)):
        if pictures is not None and domain is not None:
            found, expected = pictures.shape[1:], domain.shape
            if pictures.dtype != np.uint8 or found != expected:
                raise Fault(f"pictures are {pictures.dtype} {found}; this generator takes uint8 {expected}")
    if conditions is not None and card.condition is not None and conditions.shape[1:] != card.condition.shape:
        found, names = conditions.shape[1:], listed_classes(card.condition.classes)
        raise Fault(f"conditions are {found} of each picture; {card.system.name} takes {card.condition.shape}: {names}")
    counts = {len(values) for values in (sources, conditions, seeds, references) if values is not None}
    if len(counts) != 1:
        raise Fault(
            f"{card.system.name}: give as many seeds as conditions; there are {sorted(counts)}"
            if counts
            else f"{card.system.name}: give the seeds of the pictures"
        )
    return counts.pop()


def require_truncations(card: Card, truncations: Sequence[float], count: int) -> None:
    """Refuse truncations that are not of so many pictures, or of a system that has no average to go towards.

    Raises:
        Fault: naming the system, or the number that is not from -1 to 1.
    """
    name = card.system.name
    if not card.system.truncates:
        raise Fault(f"truncation: system {name} keeps no average of W to hold pictures near; leave it out")
    if wrong := [each for each in truncations if not -1 <= each <= 1]:
        raise Fault(f"truncation {wrong[0]:g}: from -1 to 1 is taken; 1 changes nothing, 0 is the average picture")
    if len(truncations) != count:
        raise Fault(f"{name}: as many truncations as seeds are needed, {count}")


def read_card(path: Path) -> Card:
    """One generator.json.

    Raises:
        Fault: it is missing, or is not a generator's.
    """
    try:
        return Card.model_validate(read_json(path))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise Fault(f"{path}: not a generator's card ({where}: {fault['msg']})") from error


def read_cards(folder: Path) -> list[Card]:
    """The cards of what `Trained.write` wrote, the task's own first.

    Raises:
        Fault: there is none; or one is not a generator's card, or is for another task.
    """
    cards = {path: read_card(path) for path in sorted(folder.glob(f"*/{CARD}"))}
    if not cards:
        raise Fault(f"{folder}: has no generator; run dvc repro -f generate")
    for path, card in cards.items():
        if path.parent.name != card.name:
            raise Fault(f"{path}: is the card of {card.name}; run dvc repro -f generate")
    return sorted(cards.values(), key=lambda card: card.makes == "source")
