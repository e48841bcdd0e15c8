"""Curves by step as the geometry of small charts; the template draws them."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 8, 22


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis, in the chart's units."""

    at: float
    label: str


@dataclass(frozen=True)
class Curve:
    """One figure by step.

    Attributes:
        points: of an SVG polyline.
        x_ticks, y_ticks: ticks, already placed.
        first, last: values at both ends, for the text beside the picture.
    """

    name: str
    points: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    steps: tuple[int, int]
    first: str
    last: str
    end: tuple[float, float]


def read_curves(path: Path) -> list[Curve]:
    """A curve for each column of a CSV whose first column is `step`; a column without two points is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name != "step"]
    series = {name: [(int(row["step"]), float(row[name])) for row in rows if row[name]] for name in names}
    return [curve(name, points) for name, points in series.items() if len(points) > 1]


def curve(name: str, points: list[tuple[int, float]]) -> Curve:
    """Place a series of (step, value)."""
    steps, values = [step for step, _ in points], [value for _, value in points]
    lows, highs = min(0.0, min(values)), max(values)
    y_values = nice_ticks(lows, highs if highs > lows else lows + 1)
    low, high = min(lows, y_values[0]), max(highs, y_values[-1])
    span = max(1, steps[-1] - steps[0])

    def x(step: float) -> float:
        return round(_LEFT + (step - steps[0]) / span * (WIDTH - _LEFT - _RIGHT), 2)

    def y(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 2)

    middle = [step for step in nice_ticks(steps[0], steps[-1], 4) if steps[0] <= step <= steps[-1]]
    return Curve(
        name=name,
        points=" ".join(f"{x(step)},{y(value)}" for step, value in points),
        x_ticks=tuple(Tick(x(step), f"{step:,.0f}") for step in middle),
        y_ticks=tuple(Tick(y(value), _tick(value, high)) for value in y_values),
        steps=(steps[0], steps[-1]),
        first=number(values[0]),
        last=number(values[-1]),
        end=(x(steps[-1]), y(values[-1])),
    )


def _tick(value: float, high: float) -> str:
    return f"{value:.1e}" if value and abs(high) < 0.001 else f"{value:.10g}"


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round values that cover low to high."""
    if high <= low:
        return [low]
    raw = (high - low) / count
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    return [i * step for i in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def number(value: float) -> str:
    """A figure to about three significant digits, as people write it."""
    size = abs(value)
    if size != 0 and (size < 0.001 or size >= 1e6):
        return f"{value:.2e}"
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:.{digits}f}"
