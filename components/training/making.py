"""The test pictures of a generator, shared among the ranks."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from components.models.asked import Asked, open_asked
from components.models.card import CARD, WEIGHTS
from components.models.generator import Generator
from components.storage.files import atomic_path, read_bytes, read_range
from components.storage.home import AnyPath
from components.storage.scratch import scratch
from components.training.group import Group

_BLOCK = 8 << 20  # bytes of a part that are read back at a time


@dataclass(frozen=True)
class Making:
    """What is made, picklable.

    Attributes:
        generator: a folder with generator.json and its weights.
        shards: root of the split whose samples are asked about. count: as of `Asked`.
        work: where rank r leaves its part_r.raw.
        batch: pictures made at a time.
    """

    generator: AnyPath
    shards: AnyPath
    work: AnyPath
    count: int | None = None
    batch: int = 64


def make_parts(jobs: Sequence[Making], group: Group) -> None:
    """This rank's part of several makings, one after another."""
    for job in jobs:
        make_part(job, group)


def make_part(job: Making, group: Group) -> None:
    """Make this rank's pictures (those of index rank, rank + world, ...) into work/part_RANK.raw."""
    with _here(job.generator) as folder:
        generator = Generator.load(folder, group.device.type)
    asked = open_asked(job.shards, generator.card, count=job.count)
    mine = range(group.rank, len(asked), group.world)
    title = f"generate {generator.card.task.title}"
    with (
        atomic_path(job.work / f"part_{group.rank}.raw") as part,
        part.open("wb") as file,
        tqdm(total=len(mine), desc=title, unit="picture", disable=not group.leads) as bar,
    ):
        for start in range(0, len(mine), job.batch):
            places = mine[start : start + job.batch]
            file.write(asked.made(generator, places).tobytes())
            bar.update(len(places))


def made(job: Making, asked: Asked, ranks: int) -> Iterator[tuple[str, dict[str, np.ndarray[Any, Any]]]]:
    """The pictures in their own order, as (key, {target domain: picture}).

    Args:
        ranks: how many have made them.
    """
    card, keys = asked.card, asked.keys
    shape = card.target.shape
    size = math.prod(shape)
    block = max(1, _BLOCK // size)
    for first in range(0, len(range(0, len(keys), ranks)), block):
        parts = []
        for rank in range(ranks):
            last = min(first + block, len(range(rank, len(keys), ranks)))
            data = read_range(job.work / f"part_{rank}.raw", first * size, last * size) if first < last else b""
            parts.append(np.frombuffer(data, np.uint8).reshape(-1, *shape))
        for index in range(first * ranks, min((first + block) * ranks, len(keys))):
            yield keys[index], {card.task.target: parts[index % ranks][index // ranks - first]}


@contextmanager
def _here(folder: AnyPath) -> Iterator[Path]:
    """A generator's folder on this machine."""
    if isinstance(folder, Path):
        yield folder
        return
    with scratch() as copy:
        for name in (CARD, WEIGHTS):
            Path(copy, name).write_bytes(read_bytes(folder / name))
        yield Path(copy)
