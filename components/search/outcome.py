"""Outcome: the result of a search: all its trials as a table, and the winner as params for the next stage."""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from components.evaluation.intervals import student_half
from components.faults import Fault
from components.search.config import Scalar, TuneConfig
from components.search.ledger import Trial
from components.search.space import Values
from components.storage.files import atomic_path, read_json, write_json, write_text

WINNER, TRIALS, SUMMARY = "winner.yaml", "trials.parquet", "search.json"


@dataclass(frozen=True)
class Winner:
    """The best configuration: the mean of its seeds, with a 95 % interval.

    Attributes:
        value: the mean objective of `seeds` runs.
        low, high: Student's interval of the mean; of one seed, the interval over the pictures.
    """

    number: int
    values: Values
    value: float
    low: float
    high: float
    seeds: int


def finalists(config: TuneConfig, trials: list[Trial], less_is_better: bool) -> list[Trial]:
    """The trials that are worth more seeds: the best of those that were trained longest, best first."""
    ended = [trial for trial in trials if trial.repeat == 0 and trial.state in ("finished", "pruned") and trial.rungs]
    longest = max((trial.steps for trial in ended), default=0)
    ranked = sorted(
        (trial for trial in ended if trial.steps == longest),
        key=lambda trial: trial.rungs[-1].value if less_is_better else -trial.rungs[-1].value,
    )
    return ranked[: config.finalists if config.num_seeds > 1 else 1]


def find_winner(config: TuneConfig, trials: list[Trial], less_is_better: bool, folder: str = "the search") -> Winner:
    """The best finalist by the mean of its seeds; a finalist that failed with any seed cannot win.

    Args:
        folder: of the search, for the message.

    Raises:
        Fault: no trial gave a metric; the message says what went wrong with the first.
    """
    standing = []
    for first in finalists(config, trials, less_is_better):
        repeats = [t for t in trials if t.number == first.number and 0 < t.repeat < config.num_seeds]
        if all(trial.state == "finished" for trial in repeats):
            standing.append(_standing([first, *repeats]))
    if not standing:
        reason = next((trial.reason for trial in trials if trial.reason), "none has ended")
        raise Fault(
            f"none of the {len(trials)} trials can win; the first failure: {reason}; remove {folder} to search again"
        )
    return min(standing, key=lambda winner: winner.value if less_is_better else -winner.value)


def _standing(runs: list[Trial]) -> Winner:
    ends = [trial.rungs[-1] for trial in runs]
    values = [end.value for end in ends]
    low, high = ends[0].low, ends[0].high
    if len(values) > 1:
        half = student_half(values)
        low, high = fmean(values) - half, fmean(values) + half
    return Winner(runs[0].number, runs[0].values, fmean(values), low, high, len(values))


def write_outcome(
    out: Path, config: TuneConfig, trials: list[Trial], winner: Winner | None, measured: dict[str, Any]
) -> None:
    """Write winner.yaml, trials.parquet and search.json below `out`.

    Args:
        winner: None where nothing was searched: the fragment is empty then.
        measured: `figure`, `less_is_better` and `protocol` of the objective; empty without a search.
    """
    write_text(out / WINNER, yaml.safe_dump(_nested(winner.values) if winner else {}, sort_keys=True))
    with atomic_path(out / TRIALS) as temporary:
        pq.write_table(_table(config, trials), temporary)
    first = [trial for trial in trials if trial.repeat == 0]
    states = {state: sum(trial.state == state for trial in first) for state in ("finished", "pruned", "failed")}
    summary: dict[str, Any] = {"trials": len(first), **states, "steps": sum(trial.steps for trial in trials)}
    if winner is not None:
        best = {"number": winner.number, "values": winner.values, "seeds": winner.seeds}
        summary |= {"winner": best | {"value": winner.value, "low": winner.low, "high": winner.high}}
        summary |= {"steps_without_pruning": sum(t.state != "failed" for t in first) * config.max_steps, **measured}
    write_json(out / SUMMARY, summary)


def read_winner(out: Path) -> Values:
    """The winner's params by dotted path; none where nothing was searched.

    Raises:
        Fault: the fragment is missing or is no mapping of params.
    """
    path = out / WINNER
    try:
        fragment = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run dvc repro tune") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise Fault(f"{path}: not YAML ({' '.join(str(error).split())}); run dvc repro -f tune") from error
    if not isinstance(fragment, dict):
        raise Fault(f"{path}: not a mapping of params; run dvc repro -f tune")
    return _flat(fragment)


def read_trials(out: Path) -> list[dict[str, Any]]:
    """The rows of trials.parquet."""
    rows: list[dict[str, Any]] = pq.read_table(out / TRIALS).to_pylist()
    return rows


def read_search(out: Path) -> dict[str, Any]:
    """The content of search.json."""
    summary: dict[str, Any] = read_json(out / SUMMARY)
    return summary


def _nested(values: Values) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return tree


def _flat(tree: dict[str, Any], prefix: str = "") -> Values:
    values: Values = {}
    for name, value in tree.items():
        values |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return values


def _table(config: TuneConfig, trials: list[Trial]) -> pa.Table:
    columns: dict[str, pa.Array] = {
        "number": pa.array([trial.number for trial in trials], pa.int32()),
        "repeat": pa.array([trial.repeat for trial in trials], pa.int32()),
        "state": pa.array([trial.state for trial in trials], pa.string()),
        "steps": pa.array([trial.steps for trial in trials], pa.int64()),
        "objective": pa.array([trial.value for trial in trials], pa.float64()),
        "low": pa.array([trial.rungs[-1].low if trial.rungs else None for trial in trials], pa.float64()),
        "high": pa.array([trial.rungs[-1].high if trial.rungs else None for trial in trials], pa.float64()),
        "seconds": pa.array([trial.seconds for trial in trials], pa.float64()),
        "rung_steps": pa.array([[rung.steps for rung in t.rungs] for t in trials], pa.list_(pa.int64())),
        "rung_objective": pa.array([[rung.value for rung in t.rungs] for t in trials], pa.list_(pa.float64())),
        "reason": pa.array([trial.reason for trial in trials], pa.string()),
        "key": pa.array([trial.key for trial in trials], pa.string()),
    }
    for path in config.space:
        values: list[Scalar | None] = [trial.values[path] for trial in trials]
        numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        columns[path] = pa.array(
            values if numbers else ["null" if v is None else str(v) for v in values],
            pa.float64() if numbers else pa.string(),
        )
    return pa.table(columns)
