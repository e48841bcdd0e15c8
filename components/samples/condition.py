"""What a picture is asked to show, a class or a set of attributes: as people write it, and as samples hold it."""

from collections.abc import Iterator

import numpy as np

from components.faults import Fault
from components.samples.domain import NO_ATTRIBUTE, Domain, Picture

_SHOWN = 20  # classes that a message lists


def parse_condition(domain: Domain, text: str, where: str = "condition") -> Picture:
    """A condition as samples hold it, of the name of a class, such as `boot`, or of attributes: `hat,smiling` for these
    and no others, `none` for none of them.

    Args:
        where: what messages call it.

    Returns:
        The index of the class, () uint8; or of each attribute 0 or 1, (classes,) uint8.

    Raises:
        Fault: a name that is none, or one twice; it lists those that there are.
    """
    if domain.exclusive:
        if text not in domain.classes:
            raise Fault(f"{where} {text}: no such class; there are {listed_classes(domain.classes)}")
        return np.array(domain.classes.index(text), np.uint8)
    names = [] if text.strip() == NO_ATTRIBUTE else [name.strip() for name in text.split(",")]
    _require_attributes(domain, names, f"{where} {text}")
    return np.array([name in names for name in domain.classes], np.uint8)


def parse_changes(domain: Domain, text: str, where: str = "condition") -> dict[int, int]:
    """Changes of attributes such as `hat=1,smiling=0`: of each that is named, by its place, what it becomes.

    Raises:
        Fault: a name that is none, or one twice; or a value that is neither 0 nor 1.
    """
    pairs = [part.partition("=")[::2] for part in text.split(",")]
    names = [name.strip() for name, _ in pairs]
    _require_attributes(domain, names, f"{where} {text}")
    values = [value.strip() for _, value in pairs]
    if wrong := [name for name, value in zip(names, values, strict=True) if value not in ("0", "1")]:
        raise Fault(f"{where} {text}: give {wrong[0]} 0 or 1, as in {wrong[0]}=1; or no name a value")
    return {domain.classes.index(name): int(value) for name, value in zip(names, values, strict=True)}


def _require_attributes(domain: Domain, names: list[str], where: str) -> None:
    for place, name in enumerate(names):
        if name not in domain.classes:
            raise Fault(
                f"{where}: {name or 'nothing'} is no attribute; there are {listed_classes(domain.classes)}, and "
                f"{NO_ATTRIBUTE} for none of them"
            )
        if name in names[:place]:
            raise Fault(f"{where}: names {name} twice")


def name_condition(domain: Domain, asked: Picture) -> str:
    """The reverse of `parse_condition`."""
    if domain.exclusive:
        return domain.classes[int(asked)]
    names = [name for name, holds in zip(domain.classes, asked, strict=True) if holds]
    return ",".join(names) or NO_ATTRIBUTE


def each_condition(domain: Domain) -> dict[str, Picture]:
    """What is asked for to see all that there is, by name: every class; or no attribute, then each alone."""
    names = domain.classes if domain.exclusive else (NO_ATTRIBUTE, *domain.classes)
    return {name: parse_condition(domain, name) for name in names}


def ask_all(asked: Picture, count: int) -> Picture:
    """One condition, as samples hold it, asked of so many pictures: (count, ...)."""
    return np.repeat(asked[None], count, axis=0)


def in_turn(domain: Domain, shown: Picture) -> Iterator[Picture]:
    """What pictures are asked for in turn, one turn for each class: that class; or their own attributes, of which the
    one is the other way round.

    Args:
        shown: the conditions that N pictures show, (N, ...).
    """
    for place in range(len(domain.classes)):
        if domain.exclusive:
            yield np.full(len(shown), place, np.uint8)
        else:
            asked = shown.copy()
            asked[:, place] = 1 - asked[:, place]
            yield asked


def listed_classes(classes: tuple[str, ...]) -> str:
    """The first classes, as a message lists them."""
    return ", ".join(classes[:_SHOWN]) + (f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else "")
