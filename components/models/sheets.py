"""Sheets of pictures from noise: the same seeds for each class, the way from one latent to another, mixed styles."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from components.models.asked import Asked
from components.models.generator import Generator
from components.networks.growing import level_of
from components.networks.style_gan import GROUPS
from components.samples.condition import ask_all, each_condition, in_turn
from components.samples.domain import Mixture, Picture, points_of_bytes
from components.shards.reader import Split, evenly
from components.storage.files import atomic_path
from components.tasks.encoding import render
from components.tasks.scatter import density_picture, scatter, side_by_side

_COLUMNS = 8
_ROWS = 8  # of a sheet without a condition
_WAYS = 4
_SOURCES, _CLASSES = 12, 12  # of a matrix
_MIXED = 8  # the first seed of those whose styles others take
_GAP = 2  # pixels of white around each picture


def draw_sheets(folder: Path) -> None:
    """Write the sheets of a generator from noise beside the pictures that it made; of points, all of them beside their
    density."""
    generator = Generator.load(folder)
    if generator.target.mixture is not None:
        points = point_sheet(generator.target.mixture, Split(folder, "test"), generator.card.task.target)
        sheets = {"sheet": points}
    else:
        sheets = {"sheet": sheet(generator), "ways": ways(generator)}
        if generator.card.system.truncates:
            sheets["mixes"] = mixes(generator)
    for name, picture in sheets.items():
        with atomic_path(folder / f"{name}.png") as temporary:
            Image.fromarray(picture).save(temporary, format="PNG")


def draw_matrix(folder: Path, asked: Asked) -> None:
    """Write the sheet of a generator that shows pictures in another condition beside what it made."""
    with atomic_path(folder / "sheet.png") as temporary:
        Image.fromarray(matrix(Generator.load(folder), asked)).save(temporary, format="PNG")


def matrix(generator: Generator, asked: Asked) -> Picture:
    """Test pictures, evenly spread, each at the left of what is made of it in each of the first classes or, of
    attributes, with each of the first the other way round, (H, W, 3).

    By reference, the row above them shows the picture in whose style each column is, a test picture of its class.
    """
    task, split, turns = asked.card.task, asked.split, asked.turns
    assert turns is not None
    places = evenly(len(split), _SOURCES)
    sources = np.stack([split.picture(place, task.target) for place in places])
    columns, above = [sources], [np.full_like(sources[0], 255)]
    for kind, conditions in enumerate(islice(in_turn(turns.domain, turns.shown[places]), _CLASSES)):
        references = None
        if task.reference is not None:
            above.append(split.picture(int(np.flatnonzero(turns.members[:, kind])[0]), task.target))
            references = np.repeat(above[-1][None], len(places), axis=0)
        columns.append(generator.make(sources=sources, conditions=conditions, references=references))
    rows = [picture for row in zip(*columns, strict=True) for picture in row]
    return laid_out([*(above if task.reference is not None else []), *rows], len(columns))


def sheet(generator: Generator) -> Picture:
    """Pictures of the seeds 0, 1, 2 and so on, (H, W, 3): a row for each of `each_condition`, each column of one seed;
    without a condition eight rows of eight."""
    condition = generator.card.condition
    if condition is None:
        return _grid(
            [generator.make(seeds=range(row * _COLUMNS, (row + 1) * _COLUMNS)) for row in range(_ROWS)], generator
        )
    rows = (
        generator.make(seeds=range(_COLUMNS), conditions=ask_all(asked, _COLUMNS))
        for asked in each_condition(condition).values()
    )
    return _grid(rows, generator)


def ways(generator: Generator) -> Picture:
    """From the latent of one seed to that of the next in eight steps, a row a pair of seeds, (H, W, 3).

    With a condition each row is of another of `each_condition`.
    """
    condition = generator.card.condition
    each = [] if condition is None else list(each_condition(condition).values())
    rows = []
    for row in range(_WAYS):
        conditions = ask_all(each[row % len(each)], _COLUMNS) if each else None
        shares = np.linspace(0, 1, _COLUMNS).tolist()
        ends = [2 * row] * _COLUMNS, [2 * row + 1] * _COLUMNS
        rows.append(generator.make(seeds=ends[0], conditions=conditions, towards=ends[1], shares=shares))
    return _grid(rows, generator)


def mixes(generator: Generator) -> Picture:
    """Pictures of StyleGAN's with the styles of some layers from others, (H, W, 3).

    The first row shows the others, the first column those that take their styles: two rows at coarse layers (to 8
    pixels), two at middle ones (to 32) and, where there are any, two at fine ones.
    """
    others = range(_MIXED, _MIXED + _COLUMNS - 1)
    rows = [np.concatenate([np.full((1, *generator.target.shape), 255, np.uint8), generator.make(seeds=others)])]
    layers = 2 * level_of(generator.target.shape[0]) + 2
    for group, (first, last) in enumerate(GROUPS.values()):
        if first >= layers:
            break
        shares = [[float(first <= layer < last) for layer in range(layers)]] * len(others)
        for seed in (2 * group, 2 * group + 1):
            own = generator.make(seeds=[seed])
            mixed = generator.make(seeds=[seed] * len(others), towards=others, shares=shares)
            rows.append(np.concatenate([own, mixed]))
    return _grid(rows, generator)


def point_sheet(mixture: Mixture, made: Split, domain: str) -> Picture:
    """All points that were made, beside the density that they should have, (H, W, 3)."""
    points = points_of_bytes(np.stack([made.picture(i, domain) for i in range(len(made))]))
    return side_by_side(scatter(mixture, points), density_picture(mixture))


def _grid(rows: Iterable[np.ndarray], generator: Generator) -> Picture:
    return laid_out([picture for row in rows for picture in render(generator.target, row)], _COLUMNS)


def laid_out(pictures: Sequence[Picture], columns: int) -> Picture:
    """Pictures of one size (H, W, 3) in rows on white; what the last row lacks is white too."""
    height, width = pictures[0].shape[:2]
    whole = np.full((*laid_out_size((height, width), len(pictures), columns), 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        top, left = row * (height + _GAP) + _GAP // 2, column * (width + _GAP) + _GAP // 2
        whole[top : top + height, left : left + width] = picture
    return whole


def laid_out_size(size: tuple[int, int], count: int, columns: int) -> tuple[int, int]:
    """(height, width) of the sheet of so many pictures, each of a size (height, width)."""
    return -(-count // columns) * (size[0] + _GAP), columns * (size[1] + _GAP)
