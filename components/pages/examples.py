"""Test pictures in rows, and how the samples looked over the steps."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from components.evaluation.objective import less_is_better
from components.evaluation.sides import open_sides
from components.faults import Fault
from components.pages.curves import number
from components.pages.figures import title
from components.samples.condition import name_condition
from components.samples.domain import Picture, enlargement
from components.samples.task import Task
from components.shards.reader import Split, evenly
from components.shards.turns import open_turns
from components.tasks.degrade import enlarged
from components.tasks.encoding import render

_CROP = 96  # pixels a side of an enlarged picture that are shown
_CELL = 128  # pixels a side; sample grids with larger cells are made smaller
NEAREST = "nearest_train"  # the column that names the nearest training picture
_PREFERRED = ("feature_distance", "labels_pixel_accuracy", "l1")


@dataclass(frozen=True)
class Example:
    """One test picture: what belongs to it as data URIs, and its metrics as (title, value).

    There is no `source` where pictures are made from noise, and no `real` one where the data holds no pairs.
    `condition` is what was asked for: a class, attributes or, where one of them is changed, that one; or empty.
    `nearest` is the nearest training picture.
    `bicubic` is the source as bicubic interpolation enlarges it, where the target is larger. All of such an example are
    of the middle of the picture, where it is large: what they differ in is small.
    """

    key: str
    source: str | None
    generated: str
    real: str | None
    figures: tuple[tuple[str, str], ...]
    condition: str = ""
    nearest: str | None = None
    bicubic: str | None = None


@dataclass(frozen=True)
class Group:
    """Samples from one end, or the middle, of the order."""

    name: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class StepRow:
    """One row of the pictures over time."""

    label: str
    picture: str


def choose(
    root: Path, generated: Path, per_sample: Path, task: Task, order_by: str | None, count: int
) -> tuple[str | None, list[Group]]:
    """The best, the median and the worst test samples by a per-sample figure; ties fall in key order.

    Args:
        root: the shards. generated: the generated set. per_sample: the Parquet of per-sample figures.
        task: what was made of what.
        order_by: its column, None for the first of the usual ones. count: samples in each group.

    Returns:
        The figure's name, and the groups; with few samples a group has fewer, and no sample is in two. Where
        there are no figures, None and one group of three times as many, evenly spread.

    Raises:
        Fault: no such column, or a sample that the shards do not have.
    """
    table = pq.read_table(per_sample).to_pydict()
    columns = [name for name in table if name not in ("key", NEAREST)]
    name = order_by or next((c for start in _PREFERRED for c in columns if c.startswith(start)), None)
    if order_by is not None and order_by not in columns:
        raise Fault(f"report.order_by: {per_sample} has no metric {order_by}; it has {', '.join(columns) or 'none'}")
    chosen = _ends(name, table[name], table["key"], count) if name else {"": evenly(len(table["key"]), 3 * count)}
    sides, made = open_sides(root, task), Split(generated, "test")
    asked = sides.asked
    turns = open_turns(asked, task.condition) if task.within and task.condition is not None else None
    places = {key: i for i, key in enumerate(asked.keys if turns is None else turns.keys)}
    theirs = {key: i for i, key in enumerate(made.keys)}
    trained = {key: i for i, key in enumerate(sides.train.keys)} if NEAREST in table else {}

    def example(i: int) -> Example:
        key = table["key"][i]
        if key not in theirs or (task.source is not None and key not in places):
            raise Fault(f"{per_sample}: sample {key} is missing in {root} or in {generated}; run dvc repro evaluate")
        source = truth = bicubic = None
        times = 1
        if task.source is not None:
            place = places[key]
            times = enlargement(asked.domains[task.source], made.domains[task.target])
            source = _shown(asked, place if turns is None else int(turns.places[place]), task.source, times, 1)
            if turns is not None:
                truth = None if turns.truths is None else _shown(asked, int(turns.truths[place]), task.target)
            else:
                true = sides.sources is None and task.source != task.target
                truth = _shown(sides.test, place, task.target, times, times) if true else None
            if times > 1:
                bicubic = data_uri(_middle(enlarged(asked.picture(place, task.source), times), times, times))
        figures = tuple((" ".join(title(c)), number(table[c][i])) for c in columns if table[c][i] is not None)
        condition = ""
        if task.condition is not None:
            domain = asked.domains[task.condition]
            if turns is None:
                condition = name_condition(domain, asked.picture(theirs[key] % len(asked), task.condition))
            else:
                condition = turns.names[turns.ends[places[key]]]
        nearest = None
        if NEAREST in table:
            nearest = _shown(sides.train, trained[table[NEAREST][i]], task.target)
        picture = _shown(made, theirs[key], task.target, times, times)
        return Example(key, source, picture, truth, figures, condition, nearest, bicubic)

    return name, [Group(group, tuple(map(example, indices))) for group, indices in chosen.items() if indices]


def _ends(name: str, values: list[float | None], keys: list[str], count: int) -> dict[str, list[int]]:
    """The samples of each group by a figure."""
    sign = 1.0 if less_is_better(name) else -1.0
    known = {i: value for i, value in enumerate(values) if value is not None and not math.isnan(value)}
    order = sorted(known, key=lambda i: (sign * known[i], keys[i]))
    size = min(count, max(1, len(order) // 3))
    middle = max(size, (len(order) - size) // 2)
    return {"Best": order[:size], "Median": order[middle : middle + size], "Worst": order[2 * size :][-size:]}


def over_time(folder: Path, count: int, parts: Sequence[str], place: int = 0, places: int = 1) -> list[StepRow]:
    """Sample grids as one column: the sources, the generated row of each step and the truth, as there are.

    Args:
        folder: of step_N.png, which hold for each use the rows that `parts` names, in this order.
        count: steps shown, evenly spaced, the last always.
        parts: of source, made and real, those that there are.
        place: of the use that is shown, among so many `places`.
    """
    files = sorted(folder.glob("step_*.png"))
    if not files:
        return []

    def row(file: Path, part: str) -> str:
        return data_uri(_strip(file, place * len(parts) + parts.index(part), places * len(parts)))

    rows = []
    for file in (files[i] for i in evenly(len(files), count)):
        step = int(file.stem.removeprefix("step_"))
        rows.append(StepRow(f"step {step:,}", row(file, "made")))
    first = [StepRow("source", row(files[-1], "source"))] if "source" in parts else []
    last = [StepRow("real", row(files[-1], "real"))] if "real" in parts else []
    return [*first, *rows, *last]


def data_uri(picture: np.ndarray) -> str:
    """A PNG of a uint8 picture (H, W, 3), inside the page."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _shown(split: Split, i: int, domain: str, times: int = 1, by: int = 1) -> str:
    return data_uri(_middle(render(split.domains[domain], split.picture(i, domain)[None])[0], times, by))


def _middle(picture: Picture, times: int, by: int) -> Picture:
    """The middle of a picture where sources are enlarged by `times`, and else all of it.

    Args:
        by: how many times as large as its source it is.
    """
    if times == 1:
        return picture
    kept = [min(side // by, _CROP // times) for side in picture.shape[:2]]
    top, left = ((side // by - keep) // 2 * by for side, keep in zip(picture.shape[:2], kept, strict=True))
    return picture[top : top + by * kept[0], left : left + by * kept[1]]


def _strip(file: Path, row: int, rows: int) -> np.ndarray:
    """One of the rows of a sample grid."""
    try:
        with Image.open(file, formats=("PNG",)) as image:
            grid = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise Fault(f"{file}: not a readable PNG ({error}); run dvc repro -f train") from error
    height = grid.height // rows
    strip = grid.crop((0, row * height, grid.width, (row + 1) * height))
    if height > _CELL + 2:
        strip = strip.resize((round(strip.width * _CELL / height), _CELL), Image.Resampling.LANCZOS)
    return np.asarray(strip)
