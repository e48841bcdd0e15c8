"""The gate: compares two versions' metrics over the same resampled test images, by the rules of the params."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from components.evaluation.config import PIXEL_FIGURES
from components.evaluation.intervals import Figure, percentile
from components.evaluation.objective import less_is_better
from components.evaluation.protocol import require_comparable
from components.faults import Fault
from components.review.config import ReviewConfig
from components.review.measured import MeasuredVersion
from components.samples.domain import Domain

Word = Literal["better", "worse", "can't be told", "not comparable", "no champion yet", "champion"]
Outcome = Literal["held", "broken", "open", "set aside"]


@dataclass(frozen=True)
class Difference:
    """One figure of the candidate beside the champion's.

    Attributes:
        gain: how much better the candidate is, in the figure's unit, whichever way is better; its interval is over
            the same resampled images for both.
    """

    figure: str
    candidate: float
    champion: float
    gain: Figure

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller value is the better one."""
        return less_is_better(self.figure)


@dataclass(frozen=True)
class Rule:
    """A rule of the params and its outcome, in words."""

    name: Literal["require", "no_worse_than", "floors"]
    figure: str
    outcome: Outcome
    words: str


@dataclass(frozen=True)
class Verdict:
    """What the review says.

    Attributes:
        passed: whether it may be promoted without an override.
        reasons: a line each.
        other_task: it makes something else than the champion, so that it cannot be overridden.
    """

    word: Word
    passed: bool
    reasons: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    differences: tuple[Difference, ...] = ()
    other_task: bool = False


def judge(candidate: MeasuredVersion, champion: MeasuredVersion | None, config: ReviewConfig) -> Verdict:
    """Compare a candidate with the champion, or with the floors alone where there is none.

    The comparison is paired: replicate i of both is over the same images, since one protocol has the same draws.
    """
    floors = tuple(_floors(candidate, config))
    if champion is None:
        asked = [rule for rule in floors if rule.outcome != "set aside"]
        passed = all(rule.outcome == "held" for rule in asked)
        return Verdict(
            "no champion yet", passed, _reasons(floors) or ("no floor is asked of the first version",), floors
        )
    task = another_task(candidate, champion)
    if task is not None:
        return Verdict("not comparable", False, (task,), other_task=True)
    try:
        require_comparable(candidate.measured, champion.measured, (candidate.version.name, champion.version.name))
    except Fault as fault:
        return Verdict("not comparable", False, (str(fault),))
    found = tuple(differences(candidate, champion))
    rules = (*_required(found, candidate, config), *_margins(found, candidate, config), *floors)
    outcomes = {rule.outcome for rule in rules}
    if not any(rule.name == "require" and rule.outcome != "set aside" for rule in rules):
        outcomes.add("open")
    word: Word = "worse" if "broken" in outcomes else "can't be told" if "open" in outcomes else "better"
    return Verdict(word, word == "better", _reasons(rules), rules, found)


def another_task(candidate: MeasuredVersion, champion: MeasuredVersion) -> str | None:
    """How the two differ in what they make; None if they make the same."""
    a, b = candidate.card, champion.card
    sizes = ["x".join(map(str, card.target.height_width)) for card in (a, b)]
    tasks = [card.task.title for card in (a, b)]
    ends = (
        (a.source, b.source, a.task.source),
        (a.target, b.target, a.task.target),
        (a.condition, b.condition, a.task.condition),
    )
    differ = ["what is made"]
    if a.task == b.task:
        differ = [f"what {name} is" for one, other, name in ends if _kind(one) != _kind(other)]
        differ += ["the size"] if any(one and other and one.size != other.size for one, other, _ in ends) else []
    if not differ:
        return None
    what = [
        f"{kept.version.name} {task} at {size}"
        for kept, task, size in zip((candidate, champion), tasks, sizes, strict=True)
    ]
    return f"another task: {what[0]}, {what[1]} ({' and '.join(differ)} differ); give it a register.model of its own"


def _kind(domain: Domain | None) -> Domain | None:
    return domain and domain.model_copy(update={"size": None})


def differences(candidate: MeasuredVersion, champion: MeasuredVersion) -> Iterator[Difference]:
    """Every figure of the row `model` that both have, in the order of the candidate's."""
    for figure, entry in candidate.measured["rows"]["model"].items():
        other = champion.measured["rows"]["model"].get(figure, {})
        gain = _gain(candidate, f"model/{figure}", champion, f"model/{figure}")
        if "value" in entry and "value" in other and gain is not None:
            yield Difference(figure, float(entry["value"]), float(other["value"]), gain)


def _gain(first: MeasuredVersion, place: str, second: MeasuredVersion, other: str) -> Figure | None:
    """How much better the first's figure at ROW/FIGURE is than the second's; None where one has no such."""
    a, b = first.replicates.get(place), second.replicates.get(other)
    values = []
    for kept, path in ((first, place), (second, other)):
        row, _, figure = path.partition("/")
        values.append(kept.measured["rows"].get(row, {}).get(figure, {}).get("value"))
    if a is None or b is None or a.shape != b.shape or None in values:
        return None
    sign = -1.0 if less_is_better(place.partition("/")[2]) else 1.0
    return percentile(sign * (values[0] - values[1]), sign * (a - b))


def _required(found: tuple[Difference, ...], candidate: MeasuredVersion, config: ReviewConfig) -> Iterator[Rule]:
    by_name = {each.figure: each for each in found}
    for figure in config.require:
        if figure not in by_name:
            yield Rule("require", figure, "set aside", _absent(candidate, figure))
            continue
        gain = by_name[figure].gain
        if gain.low > 0:
            yield Rule("require", figure, "held", f"{figure}: better by {words(gain)}")
        elif gain.high < 0:
            yield Rule("require", figure, "broken", f"{figure}: worse by {words(gain, -1)}")
        else:
            yield Rule("require", figure, "open", f"{figure}: no clear difference, {_by(gain)}")


def _margins(found: tuple[Difference, ...], candidate: MeasuredVersion, config: ReviewConfig) -> Iterator[Rule]:
    by_name = {each.figure: each for each in found}
    for figure, margin in config.no_worse_than.items():
        if figure not in by_name:
            yield Rule("no_worse_than", figure, "set aside", _absent(candidate, figure))
            continue
        gain = by_name[figure].gain
        allowed = f"{margin:g} worse is allowed"
        if gain.low >= -margin:
            yield Rule("no_worse_than", figure, "held", f"{figure}: {_by(gain)}; {allowed}")
        elif gain.high < -margin:
            yield Rule("no_worse_than", figure, "broken", f"{figure}: worse by {words(gain, -1)}; only {allowed}")
        else:
            text = f"{figure}: may be worse by up to {-gain.low:.3g}; only {allowed}"
            yield Rule("no_worse_than", figure, "open", text)


def _floors(candidate: MeasuredVersion, config: ReviewConfig) -> Iterator[Rule]:
    for figure, row in config.floors.items():
        gain = _gain(candidate, f"model/{figure}", candidate, f"{row}/{figure}")
        if gain is None:
            text = _absent(candidate, figure)
            if f"model/{figure}" in candidate.replicates:
                text = f"{figure}: the row {row} has none here"
            yield Rule("floors", figure, "set aside", text)
        elif gain.low > 0:
            yield Rule("floors", figure, "held", f"{figure}: better than the row {row} by {words(gain)}")
        elif gain.high < 0:
            yield Rule("floors", figure, "broken", f"{figure}: worse than the row {row} by {words(gain, -1)}")
        else:
            yield Rule("floors", figure, "open", f"{figure}: not clearly better than the row {row}: {words(gain)}")


def _absent(candidate: MeasuredVersion, figure: str) -> str:
    """Why a rule on a metric is not asked of this version."""
    skipped = candidate.measured.get("skipped", {})
    kind = "pixels" if figure in PIXEL_FIGURES else figure.partition("_")[0]
    return f"{figure}: not measured of {candidate.card.name}" + (f" ({skipped[kind]})" if kind in skipped else "")


def _reasons(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """The words of the rules, with those that decided first."""
    order = ("broken", "open", "held", "set aside")
    return tuple(rule.words for rule in sorted(rules, key=lambda rule: order.index(rule.outcome)))


def _by(gain: Figure) -> str:
    return f"worse by {words(gain, -1)}" if gain.value < 0 else f"better by {words(gain)}"


def words(gain: Figure, sign: int = 1) -> str:
    """A gain with its interval: 4.41 (1.12 to 7.9)."""
    low, high = sorted((sign * gain.low, sign * gain.high))
    shown = (f"{end + 0.0:.3g}" for end in (sign * gain.value, low, high))  # -0.0 + 0.0 is 0.0
    return "{} ({} to {})".format(*shown)
