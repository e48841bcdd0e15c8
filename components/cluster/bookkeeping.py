"""Bookkeeping: gives Ray Tune its trials, and writes into the ledger how they go."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.faults import Fault
from components.search.ledger import Ledger, Rung, State, Trial

STEPS, VALUE = "steps", "value"  # of what a trial reports
Listener = Callable[[Trial], None]


def searcher(take: Callable[[], Trial]) -> Any:
    """A searcher that gives what `take` gives, until it raises StopIteration."""
    from ray.tune.search import Searcher

    class LedgerSearcher(Searcher):
        def suggest(self, trial_id: str) -> dict[str, Any] | str:  # noqa: ARG002
            try:
                trial = take()
            except StopIteration:
                return str(Searcher.FINISHED)
            return trial.model_dump(mode="json", include={"number", "repeat", "values", "rungs"})

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            """The ledger knows."""

        def save(self, *_: Any) -> None:
            """The ledger is the memory."""

        def restore(self, *_: Any) -> None:
            """The ledger is the memory."""

    return LedgerSearcher(metric=VALUE, mode="max")


def bookkeeper(ledger: Ledger, max_steps: int, listen: Listener) -> Any:
    """A callback that writes into the ledger what Ray Tune reports, and passes on each trial that has ended."""
    from ray import tune

    class Bookkeeper(tune.Callback):
        def on_trial_result(self, *_: Any, trial: Any, result: dict[str, Any], **__: Any) -> None:
            known = _entered(trial).model_copy(update={"key": result["key"]})
            ledger.add(known, Rung(**{name: result[name] for name in Rung.model_fields}), result["seconds"])

        def on_trial_complete(self, *_: Any, trial: Any, **__: Any) -> None:
            known = _entered(trial)
            _end(known, "finished" if known.steps == max_steps else "pruned")

        def on_trial_error(self, *_: Any, trial: Any, **__: Any) -> None:
            _end(_entered(trial), "failed", _reason(trial))

    def _entered(trial: Any) -> Trial:
        return ledger.get(trial.config["number"], trial.config["repeat"])

    def _end(trial: Trial, state: State, reason: str = "") -> None:
        listen(ledger.put(trial.model_copy(update={"state": state, "reason": reason})))

    return Bookkeeper()


def _reason(trial: Any) -> str:
    """Why a trial failed, in one line, from the text that Ray Tune leaves of it."""
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    if "ActorDiedError" in text or "actor died" in text:
        return "its process died (killed, or out of memory)"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix(f"{Fault.__module__}.{Fault.__name__}: ") if lines else "for no reason that is known"
