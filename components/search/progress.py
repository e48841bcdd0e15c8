"""Progress of a search: a bar of trials, and a line for each that has ended."""

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from components.search.ledger import Ledger, Trial
from components.search.space import Values


class SearchProgress:
    """Counts the trials of a ledger as they end; call it with each.

    Args:
        figure: name of the objective.
    """

    def __init__(self, ledger: Ledger, num_trials: int, figure: str) -> None:
        done = sum(trial.state != "running" for trial in ledger.trials())
        title = "tune (resumed)" if ledger.trials() else "tune"
        self._bar = tqdm(total=max(done, num_trials), initial=done, desc=title, unit="trial", dynamic_ncols=True)
        self._figure = figure

    def __getstate__(self) -> dict[str, str]:
        """Ray pickles what listens to a search; a bar has an open stream, which cannot be pickled."""
        return {"_figure": self._figure}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, trial: Trial) -> None:
        """Say how a trial ended."""
        found = f"{self._figure} {trial.value:.4g} after {trial.steps} steps" if trial.value is not None else ""
        said = "; ".join(part for part in (found, trial.reason) if part)
        name = f"trial {trial.number}" + (f", seed +{trial.repeat}" if trial.repeat else "")
        tqdm.write(f"tune: {name} {trial.state}: {said} ({describe(trial.values)})", file=sys.stderr)
        if not trial.repeat:
            self._bar.update()


def describe(values: Values) -> str:
    """Values as a person reads them."""
    shown = {path: f"{value:.3g}" if isinstance(value, float) else str(value) for path, value in values.items()}
    return ", ".join(f"{path} {value}" for path, value in shown.items())
