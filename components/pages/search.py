"""The search on a page: a table of trials, parallel coordinates, and the objective against steps."""

import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from components.pages.curves import number
from components.pages.figures import title
from components.search.outcome import read_search, read_trials

Row = dict[str, Any]
# Colours that stand for the page's own, which are others in the dark.
_INK, _BEST, _REST, _PRUNED = "#010203", "#010204", "#010205", "#010206"
_COLOURS = {_INK: "currentColor", _BEST: "var(--accent)", _REST: "var(--soft)", _PRUNED: "var(--other)"}


@dataclass(frozen=True)
class TrialRow:
    """A trial in the table, best first."""

    name: str
    state: str
    values: tuple[str, ...]
    objective: str
    interval: str
    steps: int
    seconds: float
    reason: str
    won: bool


@dataclass(frozen=True)
class SearchView:
    """What the page shows of a search.

    Attributes:
        saved: the share of steps that pruning saved, 0 to 1.
        better: the winner's objective beside that of the present params; empty if unknown.
    """

    figure: str
    less_is_better: bool
    paths: tuple[str, ...]
    rows: tuple[TrialRow, ...]
    summary: dict[str, Any]
    saved: float
    better: str
    parallel: Markup
    curves: Markup


def view_search(folder: Path) -> SearchView | None:
    """Read data/tune; None where nothing was searched."""
    summary = read_search(folder)
    if "winner" not in summary:
        return None
    rows = read_trials(folder)
    winner = summary["winner"]
    less = summary["less_is_better"]
    paths = tuple(winner["values"])
    ranked = sorted(rows, key=lambda row: _rank(row, less))
    first = [row for row in rows if row["repeat"] == 0]
    start = next((row for row in first if row["number"] == 0 and row["state"] == "finished"), None)
    own = start is not None and winner["number"] != 0
    return SearchView(
        figure=" ".join(title(summary["figure"])),
        less_is_better=less,
        paths=paths,
        rows=tuple(_shown(row, paths, row["number"] == winner["number"]) for row in ranked),
        summary=summary,
        saved=1 - sum(row["steps"] for row in first) / max(1, summary["steps_without_pruning"]),
        better=f"{number(winner['value'])} against {number(start['objective'])}" if own and start else "",
        parallel=_svg(_parallel(first, paths, winner["number"], less)),
        curves=_svg(_curves(first, winner["number"], " ".join(title(summary["figure"])))),
    )


def _rank(row: Row, less: bool) -> tuple[int, float]:
    """Trials that were trained longer come first, then the better ones; failed ones last."""
    value = row["objective"] if row["objective"] is not None else math.inf
    return (0 if row["state"] == "failed" else -row["steps"], value if less else -value)


def _shown(row: Row, paths: tuple[str, ...], won: bool) -> TrialRow:
    measured = row["objective"] is not None
    return TrialRow(
        name=f"{row['number']}" + (f", seed +{row['repeat']}" if row["repeat"] else ""),
        state=row["state"],
        values=tuple(_text(row[path]) for path in paths),
        objective=number(row["objective"]) if measured else "none",
        interval=f"{number(row['low'])} to {number(row['high'])}" if measured else "",
        steps=row["steps"],
        seconds=row["seconds"],
        reason=row["reason"],
        won=won,
    )


def _parallel(rows: list[Row], paths: tuple[str, ...], best: int, less: bool) -> Figure:
    """One line a trial through an axis a param and one for the objective, better upwards."""
    rows = [row for row in rows if row["objective"] is not None]
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    axes = figure.subplots()
    columns = [_scaled([row[path] for row in rows]) for path in paths]
    places, low, high = _scaled([row["objective"] for row in rows])
    columns.append(([1 - place for place in places], high, low) if less else (places, low, high))
    for i in sorted(range(len(rows)), key=lambda i: (rows[i]["number"] == best, rows[i]["steps"])):
        won = rows[i]["number"] == best
        colour = _BEST if won else _REST if rows[i]["state"] == "finished" else _PRUNED
        line = [column[0][i] for column in columns]
        axes.plot(
            range(len(line)),
            line,
            color=colour,
            lw=2.6 if won else 1.2,
            marker="o",
            ms=3.5,
            alpha=_alpha(colour),
            clip_on=False,
        )
    for x, (_, bottom, top) in enumerate(columns):
        axes.axvline(x, color=_INK, lw=0.7, alpha=0.5, clip_on=False)
        for y, text in ((0, bottom), (1, top)):
            axes.annotate(text, (x, y), (0, -12 if y == 0 else 5), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xticks(range(len(columns)), [*paths, "objective"])
    axes.set_yticks([])
    axes.set_ylim(-0.14, 1.12)
    _plain(axes, ())
    return figure


def _alpha(colour: str) -> float:
    return 0.5 if colour == _PRUNED else 1.0


def _text(value: Any) -> str:
    """A param's value as people write it; whole numbers come as floats out of the table."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and value < 1e6 else number(value)
    return str(value)


def _scaled(values: list[Any]) -> tuple[list[float], str, str]:
    """Places from 0 to 1, and what stands at both ends; words in the order of their names, wide ranges as logs."""
    if any(isinstance(value, str) for value in values):
        names = sorted(set(values))
        return [names.index(value) / max(1, len(names) - 1) for value in values], names[0], names[-1]
    low, high = min(values), max(values)
    wide = low > 0 and high / low > 20
    scaled = [math.log(value) for value in values] if wide else [float(value) for value in values]
    span = max(scaled) - min(scaled)
    return [(value - min(scaled)) / span if span else 0.5 for value in scaled], _text(low), _text(high)


def _curves(rows: list[Row], best: int, name: str) -> Figure:
    """The objective of each trial at its rungs."""
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for row in sorted(rows, key=lambda row: (row["number"] == best, row["steps"])):
        won = row["number"] == best
        colour = _BEST if won else _REST if row["state"] == "finished" else _PRUNED
        line = (row["rung_steps"], row["rung_objective"])
        axes.plot(*line, color=colour, lw=2.4 if won else 1.2, marker="o", ms=4, alpha=_alpha(colour), clip_on=False)
    steps = sorted({step for row in rows for step in row["rung_steps"]})
    if len(steps) > 1:
        axes.set_xscale("log")
    axes.set_xticks(steps, [f"{step:,}" for step in steps])
    axes.minorticks_off()
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    _plain(axes, ("left", "bottom"))
    return figure


def _plain(axes: Axes, spines: tuple[str, ...]) -> None:
    for side, spine in axes.spines.items():
        spine.set_visible(side in spines)
        spine.set_color(_INK)
    axes.tick_params(colors=_INK, labelsize=9, length=0 if not spines else 3)
    for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
        text.set_color(_INK)


def _svg(figure: Figure) -> Markup:
    """A figure as SVG that stands in a page: its own text, the page's colours, the same bytes for the same trials."""
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pix2pipe", "font.family": "sans-serif"}):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    text = re.sub(r'<path d="[^"]*" style="fill: #ffffff[^"]*"/>', "", text)  # the white paper
    return Markup(re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', text, count=1))
