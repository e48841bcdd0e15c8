"""Promotion and rollback: the alias `champion` moved by a person, with a record of it."""

import time
from pathlib import Path

from components.faults import Fault
from components.review.config import ReviewConfig
from components.review.review import AFTER, AGAINST, ModelState, Review, review, settle
from components.tracking.promotions import Promotion, append_promotion, champions
from components.tracking.store import Store
from components.tracking.versions import Version, fetch_version, find_version

_LONGEST = {"--by": 200, "--why": 2000}
_REASONS = 2000  # characters of them in a record


def promote(
    store: Store, model: str, which: str, by: str, why: str, config: ReviewConfig, folder: Path, override: bool = False
) -> Promotion:
    """Make a reviewed version the champion.

    The verdict is computed again from what both versions keep, by the present rules. But the person must have seen a
    verdict against the present champion: if two people promote at once, the second is told to look again.

    Args:
        which: its number or an alias. folder: where files are brought.
        override: promote it although the gate did not pass it. A version that translates something else than the
            champion, or was changed since it was registered, is always refused.

    Raises:
        Fault: no name or no reason; not reviewed against the present champion; refused by the gate.
    """
    by, why = _said("--by", by), _said("--why", why)
    state = settle(store, model)
    version = find_version(store, model, which)
    if state.champion and state.champion.number == version.number:
        if not state.outside:
            raise Fault(f"{version.name} is the champion already")
        if not override:
            raise Fault(f"{model}: {state.notice}; --override puts that on record, a rollback undoes it")
    else:
        _require_seen(version, state)
    found = review(store, state, version, config, folder)
    reasons = "; ".join(found.verdict.reasons)
    if found.verdict.other_task:
        raise Fault(f"{version.name} is refused: {reasons}")
    if not (found.verdict.passed or override):
        raise Fault(f"{version.name} is refused: {found.verdict.word} ({reasons}); --override promotes it all the same")
    record = _record("promotion", version, state, by, why, found, overridden=not found.verdict.passed)
    append_promotion(store, model, record)
    return record


def rollback(store: Store, model: str, undone: str, by: str, why: str, folder: Path) -> Promotion:
    """Make the champion before the present one the champion again, by the record.

    If the alias was moved outside of pix2pipe, that move is undone, and the champion of the record is restored.

    Args:
        undone: the number of the champion that is undone, as its author sees it; "none" where the alias is gone. Of
            a promotion that came meanwhile nothing is undone by mistake.

    Raises:
        Fault: no name or no reason; another champion than that; nothing to go back to; its files are missing or
            changed.
    """
    by, why = _said("--by", by), _said("--why", why)
    state = settle(store, model)
    now = str(state.champion.number) if state.champion else "none"
    if undone != now:
        last = state.promotions[-1] if state.promotions else None
        who = f", by {last.by} at {last.at} UTC" if last and str(last.after) == now else ""
        raise Fault(
            f"{model}: the champion is version {now}{who}, not version {undone}; nothing is rolled back: look at it "
            f"(pix2pipe review), then pix2pipe rollback {now}"
        )
    stack = champions(state.promotions)
    back = stack[-1:] if state.outside else stack[-2:-1]
    if not back:
        said = f"{len(state.promotions)} promotion{'s' if len(state.promotions) != 1 else ''}"
        raise Fault(f"{model}: there is no champion to go back to; the record holds {said}")
    version = find_version(store, model, str(back[0]))
    fetch_version(store, version, folder / str(version.number))  # refuses what is not what was registered
    # Putting the record's own champion back undoes no record: it is one more of the same.
    kind = "promotion" if state.outside else "rollback"
    record = _record(kind, version, state, by, why, None)
    append_promotion(store, model, record)
    return record


def _said(option: str, text: str) -> str:
    said = " ".join(text.split())
    if not said:
        raise Fault(f"{option} is empty; the record of a promotion says who decided and why")
    if len(said) > _LONGEST[option]:
        raise Fault(f"{option} has {len(said)} characters; at most {_LONGEST[option]} are recorded")
    return said


def _require_seen(version: Version, state: ModelState) -> None:
    """Refuse a version that nobody has reviewed beside the present champion."""
    if AGAINST not in version.tags:
        raise Fault(f"{version.name} is not reviewed; pix2pipe review {version.number} does it")
    if state.mark.items() <= version.tags.items():
        return
    seen, now = version.tags.get(AGAINST, "none"), state.mark[AGAINST]
    last = state.promotions[-1] if state.promotions else None
    who = ""
    if last and state.mark[AFTER] != version.tags.get(AFTER):
        who = f" ({last.kind} of version {last.after} by {last.by} at {last.at})"
    before, after = (f"version {number}" if number != "none" else "none" for number in (seen, now))
    raise Fault(
        f"{version.name} was reviewed when the champion was {before}; now it is {after}{who}: "
        f"pix2pipe review {version.number} compares them"
    )


def _record(
    kind: str, version: Version, state: ModelState, by: str, why: str, found: Review | None, overridden: bool = False
) -> Promotion:
    reasons: list[str] = []
    for reason in found.verdict.reasons if found else ():
        if sum(map(len, reasons)) + len(reason) <= _REASONS:
            reasons.append(reason)
    return Promotion(
        number=len(state.promotions) + 1,
        kind="rollback" if kind == "rollback" else "promotion",
        at=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        by=by,
        why=why,
        before=state.champion.number if state.champion else None,
        after=version.number,
        **{name: version.tags.get(name, "") for name in ("weights_sha256", "card_sha256", "metrics_sha256")},
        verdict=found.verdict.word if found else "rolled back",
        reasons=tuple(reasons),
        overridden=overridden,
        outside=state.outside,
    )
