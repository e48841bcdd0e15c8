"""The same test samples by both versions, side by side."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from components.evaluation.evaluate import sample_protocol
from components.evaluation.measure import Subset
from components.evaluation.sides import open_sides
from components.faults import Fault
from components.models.asked import open_asked
from components.models.generator import Generator
from components.review.measured import MeasuredVersion
from components.shards.reader import evenly
from components.storage.home import AnyPath
from components.tasks.encoding import render, to_one_size

_CELL = 128  # least height of a picture in the grid, pixels
_GAP, _HEAD = 6, 22


@dataclass(frozen=True)
class Sample:
    """One test sample: by column (`source`, `champion`, `candidate`, `truth`) RGB uint8 (H, W, 3)."""

    key: str
    pictures: dict[str, NDArray[np.uint8]]


def side_by_side(
    shards: AnyPath, candidate: MeasuredVersion, champion: MeasuredVersion | None, count: int
) -> list[Sample]:
    """Test samples, evenly spread, with what each version makes of them; `truth` where the data has pairs.

    Raises:
        Fault: the shards are not those that the candidate was measured on.
    """
    task = candidate.card.task
    _, test, sources = open_sides(shards, task)
    protocol = candidate.measured["protocol"]
    for split, part in ((test, "test"), (sources, "sources")):
        if split is not None and sample_protocol(Subset(split)).model_dump() != protocol.get(part):
            raise Fault(f"{shards}: holds other test samples than {candidate.version.name} was measured on")
    asked = open_asked(shards, candidate.card)
    chosen = evenly(len(asked), count)
    columns = {}
    if task.source is not None:
        assert candidate.card.source is not None
        columns["source"] = render(candidate.card.source, asked.sources(chosen))
    for name, kept in (("champion", champion), ("candidate", candidate)):
        if kept is not None:
            columns[name] = render(kept.card.target, asked.made(Generator.load(kept.folder), chosen))
    if task.source is not None and sources is None:
        places = chosen
        if asked.turns is not None:
            places = [] if asked.turns.truths is None else asked.turns.truths[chosen].tolist()
        if places:
            columns["truth"] = render(candidate.card.target, np.stack([test.picture(i, task.target) for i in places]))
    columns = dict(zip(columns, to_one_size(list(columns.values())), strict=True))
    return [
        Sample(asked.keys[place], {name: made[i] for name, made in columns.items()}) for i, place in enumerate(chosen)
    ]


def grid(samples: list[Sample], names: dict[str, str]) -> NDArray[np.uint8]:
    """All of them as one picture, a row a sample, each column under its name: RGB (H, W, 3).

    Args:
        names: of the columns, for people; a column without one is headed as it is called.
    """
    height, width = next(iter(samples[0].pictures.values())).shape[:2]
    scale = max(1, -(-_CELL // height))
    height, width = height * scale, width * scale
    columns = list(samples[0].pictures)
    sheet = Image.new(
        "RGB", (len(columns) * (width + _GAP) + _GAP, len(samples) * (height + _GAP) + _HEAD + _GAP), (251, 250, 247)
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for i, column in enumerate(columns):
        left = _GAP + i * (width + _GAP)
        draw.text((left, 5), names.get(column, column), fill=(28, 31, 34), font=font)
        for j, sample in enumerate(samples):
            cell = Image.fromarray(sample.pictures[column]).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(cell, (left, _HEAD + _GAP + j * (height + _GAP)))
    return np.asarray(sheet)
