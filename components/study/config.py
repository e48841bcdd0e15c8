"""How a study is held."""

from typing import Annotated, Literal

from pydantic import Field

from components.samples.schema import Section

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
EXPOSURE_MS = 1000


class Settings(Section):
    """What every participant of a study is asked, after pix2pix (section 3.2) and CycleGAN (5.1.1).

    Attributes:
        practice: pairs at the start, each answered with which one was real; they do not count.
        trials: pairs that count, without feedback.
        vigilance: pairs among those whose fake is blocks of random colour; they do not count either.
        max_missed: of those; a participant who misses more is set aside.
        participants: who may join, in all.
        invited: whether joining takes one of the study's codes.
    """

    practice: Annotated[int, Field(ge=0, le=100)] = 10
    trials: Annotated[int, Field(ge=1, le=500)] = 40
    vigilance: Annotated[int, Field(ge=0, le=100)] = 5
    max_missed: Annotated[int, Field(ge=0, le=100)] = 1
    participants: Annotated[int, Field(ge=1, le=10_000)] = 100
    invited: bool = False

    @property
    def pairs(self) -> int:
        """That one participant sees."""
        return self.practice + self.trials + self.vigilance
