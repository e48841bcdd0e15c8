"""Plan: the pairs that one participant will see, decided when they join."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from components.study.config import SIDES, Settings, Side

Kind = Literal["practice", "trial", "vigilance"]


@dataclass(frozen=True)
class Pair:
    """What is shown at one position of a session.

    Attributes:
        real: key of the real picture. fake: key of the generated one; of an obvious fake what it is drawn from.
        real_side: where the real one stands.
    """

    kind: Kind
    real: str
    fake: str
    real_side: Side


def make_plan(settings: Settings, samples: Sequence[tuple[str, str]], random: Random) -> list[Pair]:
    """Pairs in the order of showing: the practice, then the trials with the obvious fakes anywhere among them.

    In each of these kinds the real picture is on the left in exactly half of the pairs (for an odd number, the half is
    rounded up or down at random), in random order. No sample comes twice.

    Args:
        samples: (real, fake) keys to choose from, at least `settings.pairs`.
    """
    chosen = random.sample(list(samples), settings.pairs)

    def block(kind: Kind, count: int) -> list[Pair]:
        return [Pair(kind, *chosen.pop(), side) for side in _sides(count, random)]

    asked = block("trial", settings.trials) + block("vigilance", settings.vigilance)
    random.shuffle(asked)
    return block("practice", settings.practice) + asked


def _sides(count: int, random: Random) -> list[Side]:
    first = random.randrange(2)
    sides = [SIDES[(first + i) % 2] for i in range(count)]
    random.shuffle(sides)
    return sides
