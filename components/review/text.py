"""A review in words: lines for a terminal, markdown for MLflow's page of the version."""

from components.review.gate import Difference, words
from components.review.review import AGAINST, ModelState, Review
from components.tracking.lineage import Lineage
from components.tracking.versions import GATE, VERDICT, Version

_LONGEST = 4900  # characters; MLflow's database has room for 5,000


def list_lines(state: ModelState, model: str, where: str) -> list[str]:
    """Every version with its verdict, the newest first."""
    champion = f"the champion is version {state.champion.number}" if state.champion else "no champion yet"
    lines = [f"{model} at {where}: {champion}"]
    if state.notice:
        lines.append(f"note: {state.notice}")
    for each in reversed(state.promotions):
        if state.champion and each.after == state.champion.number:
            lines.append(f"  {each.kind} by {each.by}, {each.at} UTC: {each.why}")
            break
    rows: list[tuple[str, ...]] = [("version", "aliases", "verdict", "beside", "gate")]
    for version in state.versions:
        rows.append(
            (
                str(version.number),
                " ".join(version.aliases) or "-",
                version.tags.get(VERDICT, "not reviewed"),
                _beside(version, state),
                version.tags.get(GATE, "-"),
            )
        )
    return [*lines, *_columns(rows)]


def review_lines(review: Review) -> list[str]:
    """One version: its verdict, the reasons, and every metric beside the champion's."""
    verdict = review.verdict
    lines = [f"{headline(review)}; the gate {'is passed' if verdict.passed else 'is not passed'}"]
    if review.state.notice:
        lines.append(f"note: {review.state.notice}")
    lines += [f"  - {reason}" for reason in verdict.reasons]
    if verdict.differences and review.state.champion:
        other = f"version {review.state.champion.number}"
        rows: list[tuple[str, ...]] = [("figure", f"version {review.version.number}", other, "better by (95 %)", "")]
        rows += [
            (d.figure, f"{d.candidate:.4g}", f"{d.champion:.4g}", words(d.gain), mark(d)) for d in verdict.differences
        ]
        lines += _columns(rows)
    return lines


def headline(review: Review) -> str:
    """The verdict in a line."""
    name, word, champion = review.version.name, review.verdict.word, review.state.champion
    if word == "champion":
        return f"{name} is the champion"
    if word == "no champion yet" or champion is None:
        return f"{name}: no champion yet to compare with"
    links = {"better": "better than", "worse": "worse than", "not comparable": "not comparable with"}
    link = links.get(word, "it cannot be told whether it is better than")
    return f"{name}: {link} version {champion.number}, the champion"


def mark(difference: Difference) -> str:
    """What an interval alone says of a difference."""
    gain = difference.gain
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no clear difference"


def markdown(review: Review, lineage: Lineage, picture: str = "") -> str:
    """The version's description.

    Args:
        picture: path of the side-by-side picture among the run's artifacts; empty where there is none.
    """
    verdict, number = review.verdict, review.version.number
    said = verdict.word[0].upper() + verdict.word[1:]  # first, since lists of versions show no more than a few words
    parts = [f"{said}. {headline(review)}; the gate is {'passed' if verdict.passed else 'not passed'}.", ""]
    parts += [f"- {_plain(reason)}" for reason in verdict.reasons]
    links = [f"[samples by step]({lineage.files}/samples)", f"[metrics]({lineage.files}/metrics)"]
    if picture:
        links.insert(0, f"[side by side]({lineage.files}/{picture})")
    parts += ["", f"Pictures and files of the run: {' · '.join(links)}; [params and curves]({lineage.page})", ""]
    if verdict.differences and review.state.champion:
        parts += [f"| metric | this | version {review.state.champion.number} | better by (95 %) | |"]
        parts += ["| --- | --- | --- | --- | --- |"]
        parts += [
            f"| {d.figure} | {d.candidate:.4g} | {d.champion:.4g} | {words(d.gain)} | {mark(d)} |"
            for d in verdict.differences
        ]
        parts.append("")
    facts = [f"- {what}: `{value}`" for what, value in lineage.facts]
    facts.append(f"- weights: `{review.version.tags['weights_sha256']}`")
    ends = ["Lineage", "", *facts, "", f"`pix2pipe review {number}` shows it again."]
    while len("\n".join([*parts, *ends])) > _LONGEST and len(parts) > 1:
        parts.pop()
    return "\n".join([*parts, *ends])


def _beside(version: Version, state: ModelState) -> str:
    """What a verdict was about, and whether that is still the champion."""
    if AGAINST not in version.tags:
        return "-"
    now = state.mark.items() <= version.tags.items()
    against = version.tags[AGAINST]
    named = "none" if against == "none" else f"version {against}"
    return named if now else f"{named}, until a promotion since"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _plain(text: str) -> str:
    """Text that markdown takes as it is written: figures' names hold underscores."""
    return text.replace("_", "\\_").replace("*", "\\*")
