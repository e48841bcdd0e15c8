"""Ledger: every trial of a search in a file of its own, so that a killed search goes on where it stood."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from components.faults import Fault
from components.samples.schema import Section
from components.search.config import Scalar
from components.storage.files import listed, read_json, write_json
from components.storage.home import AnyPath

State = Literal["running", "finished", "pruned", "failed"]


class Rung(Section):
    """The objective after so many steps, with its 95 % interval over the pictures."""

    steps: PositiveInt
    value: float
    low: float
    high: float


class Trial(Section):
    """One configuration, trained by one seed.

    Attributes:
        number: of the configuration, from 0. repeat: 0, and above it a finalist trained by another seed.
        values: dotted path -> value; None where the params as they stand have null.
        state: finished trials were trained to the last rung; pruned ones were ended by the scheduler; failed ones
            broke, gave a metric that is not finite, or were killed (`reason` says which).
        rungs: what was measured so far. seconds: spent on it, over all its attempts.
        key: of its training run.
    """

    number: NonNegativeInt
    repeat: NonNegativeInt = 0
    values: dict[str, Scalar | None]
    state: State = "running"
    rungs: tuple[Rung, ...] = ()
    seconds: NonNegativeFloat = 0.0
    reason: str = ""
    key: str = ""

    @property
    def steps(self) -> int:
        """Steps it was trained and measured for."""
        return self.rungs[-1].steps if self.rungs else 0

    @property
    def value(self) -> float | None:
        """Its last measured objective."""
        return self.rungs[-1].value if self.rungs else None


class Ledger:
    """The trials of one search, below a folder. One process writes, atomically; any may read."""

    def __init__(self, folder: AnyPath) -> None:
        self.folder = folder

    def all(self) -> list[Trial]:
        """Every trial, by number and repeat.

        Raises:
            Fault: a file is not what was written.
        """
        found = [self._read(self.folder / name) for name in listed(self.folder) if name.endswith(".json")]
        return sorted(found, key=lambda trial: (trial.number, trial.repeat))

    def trials(self) -> list[Trial]:
        """The configurations, without the repeats of finalists."""
        return [trial for trial in self.all() if trial.repeat == 0]

    def get(self, number: int, repeat: int = 0) -> Trial:
        """One trial."""
        return self._read(self._path(number, repeat))

    def put(self, trial: Trial) -> Trial:
        """Write a trial, new or changed."""
        write_json(self._path(trial.number, trial.repeat), trial.model_dump(mode="json"))
        return trial

    def add(self, trial: Trial, rung: Rung, seconds: float) -> Trial:
        """Add a rung, unless it is there already: a resumed trial reports rungs again."""
        known = trial if rung.steps <= trial.steps else trial.model_copy(update={"rungs": (*trial.rungs, rung)})
        return self.put(known.model_copy(update={"seconds": trial.seconds + seconds}))

    def _path(self, number: int, repeat: int) -> AnyPath:
        return self.folder / f"{number:04d}_{repeat}.json"

    def _read(self, path: AnyPath) -> Trial:
        try:
            return Trial.model_validate(read_json(path))
        except ValidationError as error:
            raise Fault(f"{path}: not a trial ({error.errors()[0]['msg']}); remove it to try that one anew") from error
