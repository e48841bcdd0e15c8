"""Result: how often each algorithm's pictures were taken for real, and how sure that is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest

from components.evaluation.intervals import Figure, draws, percentile
from components.faults import Fault
from components.storage.files import sha256_json
from components.study.config import EXPOSURE_MS, Settings
from components.study.votes import Votes

FIGURE = "percent_labelled_real"
_FEW = 10
_BOOTSTRAP, _SEED = 10_000, 0


@dataclass(frozen=True)
class Ballot:
    """What one participant did.

    Attributes:
        fooled: trials in which the generated picture was taken for the real one. missed: obvious fakes likewise.
        complete: whether every pair was answered.
    """

    algorithm: str
    fooled: int
    missed: int
    complete: bool


def read_ballots(votes: Votes) -> tuple[list[Ballot], list[float]]:
    """Every participant in the order of joining, and the exposures in ms of the pairs whose exposure is known."""
    sessions: dict[int, list[Any]] = {}
    for session, algorithm, pair, vote in votes.rows():
        sessions.setdefault(session, []).append((algorithm, pair, vote))
    ballots = []
    for rows in sessions.values():
        wrong = [pair.kind for _, pair, vote in rows if vote and vote.side != pair.real_side]
        complete = all(vote for _, _, vote in rows)
        ballots.append(Ballot(rows[0][0], wrong.count("trial"), wrong.count("vigilance"), complete))
    seen = [vote.exposure_ms for rows in sessions.values() for _, _, vote in rows if vote and vote.exposure_ms > 0]
    return ballots, seen


def make_result(votes: Votes) -> dict[str, Any]:
    """The result of a study as it stands, for `dvc metrics` and the report.

    A participant counts if they answered every pair and missed at most `max_missed` of the obvious fakes. The value is
    the mean over these of the percentage of trials in which the generated picture was taken for the real one; at 50
    nobody can tell them apart. Its interval is the percentile interval of 10,000 draws of as many participants with
    replacement, and `std` the deviation of those draws. Participants are drawn, since the votes of one person depend on
    each other.

    Raises:
        Fault: nobody has begun a study in this file.
    """
    about = votes.about()
    if about is None:
        raise Fault(f"{votes.path}: there is no study in it; start one with pix2pipe study serve")
    settings = Settings.model_validate(about["settings"])
    ballots, exposures = read_ballots(votes)
    protocol: dict[str, Any] = {
        **settings.model_dump(mode="json", exclude={"participants", "invited"}),
        "exposure_ms": EXPOSURE_MS,
        "design": "one algorithm a participant",
        "direction": about["direction"],
        "paired": about["paired"],
        "test": about["test"],
        "arithmetic": 1,
    }
    result: dict[str, Any] = {
        "protocol": protocol | {"hash": sha256_json(protocol)},
        "algorithms": {
            name: _row([ballot for ballot in ballots if ballot.algorithm == name], settings) | {"lineage": lineage}
            for name, lineage in about["algorithms"].items()
        },
    }
    if exposures:
        low, median, high = np.percentile(exposures, [2.5, 50, 97.5]).round(1).tolist()
        result["exposure_ms"] = {"value": median, "low": low, "high": high}
    return result


def _row(ballots: list[Ballot], settings: Settings) -> dict[str, Any]:
    complete = [ballot for ballot in ballots if ballot.complete]
    counted = [ballot for ballot in complete if ballot.missed <= settings.max_missed]
    row: dict[str, Any] = {
        "participants": len(counted),
        "set_aside": len(complete) - len(counted),
        "incomplete": len(ballots) - len(complete),
    }
    if counted:
        percent = torch.tensor([100 * ballot.fooled / settings.trials for ballot in counted], dtype=torch.float64)
        replicates = draws(len(counted), _BOOTSTRAP, _SEED).double() @ percent / len(counted)
        notes: dict[str, float | str] = {"std": float(replicates.std(correction=0))}
        if len(counted) < _FEW:
            notes["note"] = f"few: {len(counted)} participants"
        low, high = _of_votes(sum(ballot.fooled for ballot in counted), len(counted) * settings.trials)
        drawn = percentile(float(percent.mean()), replicates)
        row[FIGURE] = Figure(drawn.value, min(drawn.low, low), max(drawn.high, high), notes).as_json()
    return row


def _of_votes(fooled: int, votes: int) -> tuple[float, float]:
    """The exact 95 % interval of a share of independent votes (Clopper and Pearson 1934), in percent.

    If people agree by chance, drawing them again would give an interval of width 0. The interval of their votes is the
    narrowest that is possible, since the votes of one person are not independent.
    """
    interval = binomtest(fooled, votes).proportion_ci(0.95, method="exact")
    return 100 * float(interval.low), 100 * float(interval.high)


def as_lines(result: dict[str, Any]) -> list[str]:
    """The result for a terminal, a line an algorithm."""
    lines = [f"{'':24}  % labelled real ±      95 % interval   participants  set aside  incomplete"]
    for name, row in result["algorithms"].items():
        figure = row.get(FIGURE)
        # Of few people the spread says nothing, and less than nothing where they agree.
        spread = f" ± {figure['std']:.1f}" if figure and row["participants"] >= _FEW else ""
        shown = f"{figure['value']:9.1f}{spread}" if figure else "        -"
        interval = f"{figure['low']:.1f} to {figure['high']:.1f}" if figure else "-"
        counts = f"{row['participants']:>12}  {row['set_aside']:>9}  {row['incomplete']:>10}"
        lines.append(f"{name:24}  {shown:21}  {interval:>13}   {counts}")
    return lines
