"""Test pictures in rows, and how the samples looked over the steps."""

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from components.domain import Domain
from components.evaluation.objective import less_is_better
from components.faults import Fault
from components.pages.curves import number
from components.pages.figures import title
from components.shards.reader import Split
from components.tasks.encoding import render

_CELL = 128  # pixels a side; sample grids with larger cells are made smaller
_PREFERRED = ("feature_distance", "labels_pixel_accuracy", "l1")


@dataclass(frozen=True)
class Example:
    """One test sample: its pictures as data URIs and its figures as (title, value)."""

    key: str
    source: str
    generated: str
    real: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """Samples from one end, or the middle, of the order."""

    name: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Row:
    """One row of the pictures over time."""

    label: str
    picture: str


def choose(
    root: Path, generated: Path, per_sample: Path, task: tuple[str, str], order_by: str | None, count: int
) -> tuple[str, list[Group]]:
    """The best, the median and the worst test samples by a per-sample figure; ties fall in key order.

    Args:
        root: the shards. generated: the generated set. per_sample: the Parquet of per-sample figures.
        order_by: its column, None for the first of the usual ones. count: samples in each group.

    Returns:
        The figure's name, and the groups; with few samples a group has fewer, and no sample is in two.

    Raises:
        Fault: no such column, or a sample that the shards do not have.
    """
    table = pq.read_table(per_sample).to_pydict()
    columns = [name for name in table if name != "key"]
    name: str = order_by or next((c for start in _PREFERRED for c in columns if c.startswith(start)), "to order by")
    if name not in columns:
        raise Fault(f"report.order_by: {per_sample} has no figure {name}; it has {', '.join(columns)}")
    sign = 1.0 if less_is_better(name) else -1.0
    keys, values = table["key"], table[name]
    known = [i for i, value in enumerate(values) if value is not None and not math.isnan(value)]
    order = sorted(known, key=lambda i: (sign * values[i], keys[i]))
    size = min(count, max(1, len(order) // 3))
    middle = max(size, (len(order) - size) // 2)
    chosen = {"Best": order[:size], "Median": order[middle : middle + size], "Worst": order[2 * size :][-size:]}
    real, made = Split(root, "test"), Split(generated, "test")
    places = ({key: i for i, key in enumerate(real.keys)}, {key: i for i, key in enumerate(made.keys)})

    def example(i: int) -> Example:
        key = keys[i]
        if key not in places[0] or key not in places[1]:
            raise Fault(f"{per_sample}: sample {key} is not in {root} and {generated}; run dvc repro evaluate")
        at, there = places[0][key], places[1][key]
        source = data_uri(_shown(real.domains[task[0]], real.picture(at, task[0])))
        translated = data_uri(_shown(made.domains[task[1]], made.picture(there, task[1])))
        target = data_uri(_shown(real.domains[task[1]], real.picture(at, task[1])))
        figures = tuple((" ".join(title(c)), number(table[c][i])) for c in columns if table[c][i] is not None)
        return Example(key, source, translated, target, figures)

    groups = [Group(group, tuple(map(example, indices))) for group, indices in chosen.items() if indices]
    return name, groups


def over_time(folder: Path, count: int) -> list[Row]:
    """Sample grids (rows: source, generated, real) as one column: source, the generated row of each step, real.

    Args:
        folder: of step_N.png. count: steps shown, evenly spaced, the last always.
    """
    files = sorted(folder.glob("step_*.png"))
    if not files:
        return []
    places = np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int))
    rows = []
    for file in (files[place] for place in places):
        step = int(file.stem.removeprefix("step_"))
        rows.append(Row(f"step {step:,}", data_uri(_strip(file, 1))))
    return [Row("source", data_uri(_strip(files[-1], 0))), *rows, Row("real", data_uri(_strip(files[-1], 2)))]


def data_uri(picture: np.ndarray) -> str:
    """A PNG of a uint8 picture (H, W, 3), inside the page."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _shown(domain: Domain, picture: np.ndarray) -> np.ndarray:
    return render(domain, picture[None])[0]


def _strip(file: Path, row: int) -> np.ndarray:
    """One of the three rows of a sample grid."""
    try:
        with Image.open(file, formats=("PNG",)) as image:
            grid = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise Fault(f"{file}: not a readable PNG ({error}); run dvc repro -f train") from error
    height = grid.height // 3
    strip = grid.crop((0, row * height, grid.width, (row + 1) * height))
    if height > _CELL + 2:
        strip = strip.resize((round(strip.width * _CELL / height), _CELL), Image.Resampling.LANCZOS)
    return np.asarray(strip)
