"""A split through a translator, shared among the ranks."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from components.files import atomic_path, read_bytes, read_range
from components.home import AnyPath
from components.scratch import scratch
from components.shards.reader import Split
from components.systems.translator import CARD, WEIGHTS, Card, Translator
from components.training.group import Group

_BLOCK = 8 << 20  # bytes of a part that are read back at a time


@dataclass(frozen=True)
class Translation:
    """What is translated, picklable.

    Attributes:
        translator: a folder with translator.json and its weights.
        shards: root of the split. split: of samples that show the translator's source.
        work: where rank r leaves its part_r.raw.
        batch: pictures read at a time.
    """

    translator: AnyPath
    shards: AnyPath
    split: str
    work: AnyPath
    batch: int = 64


def translate_parts(jobs: Sequence[Translation], group: Group) -> None:
    """This rank's part of several translations, one after another."""
    for job in jobs:
        translate_part(job, group)


def translate_part(job: Translation, group: Group) -> None:
    """Translate this rank's samples (those of index rank, rank + world, ...) into work/part_RANK.raw."""
    with _here(job.translator) as folder:
        translator = Translator.load(folder, group.device.type)
    split = Split(job.shards, job.split)
    domain, target = translator.card.task
    mine = range(group.rank, len(split), group.world)
    with (
        atomic_path(job.work / f"part_{group.rank}.raw") as part,
        part.open("wb") as file,
        tqdm(total=len(mine), desc=f"generate {domain} to {target}", unit="sample", disable=not group.leads) as bar,
    ):
        for start in range(0, len(mine), job.batch):
            indices = mine[start : start + job.batch]
            pictures = np.stack([split.picture(index, domain) for index in indices])
            file.write(translator.translate(pictures).tobytes())
            bar.update(len(indices))


def translated(job: Translation, card: Card, ranks: int) -> Iterator[tuple[str, dict[str, np.ndarray[Any, Any]]]]:
    """The translated samples in the split's own order, as (key, {target domain: picture}).

    Args:
        card: of the translator.
        ranks: how many have translated.
    """
    shape = (*card.size, 3) if card.target.kind == "image" else card.size
    size = math.prod(shape)
    keys = Split(job.shards, job.split).keys
    block = max(1, _BLOCK // size)
    for first in range(0, len(range(0, len(keys), ranks)), block):
        parts = []
        for rank in range(ranks):
            last = min(first + block, len(range(rank, len(keys), ranks)))
            data = read_range(job.work / f"part_{rank}.raw", first * size, last * size) if first < last else b""
            parts.append(np.frombuffer(data, np.uint8).reshape(-1, *shape))
        for index in range(first * ranks, min((first + block) * ranks, len(keys))):
            yield keys[index], {card.task[1]: parts[index % ranks][index // ranks - first]}


@contextmanager
def _here(folder: AnyPath) -> Iterator[Path]:
    """A translator's folder on this machine."""
    if isinstance(folder, Path):
        yield folder
        return
    with scratch() as copy:
        for name in (CARD, WEIGHTS):
            Path(copy, name).write_bytes(read_bytes(folder / name))
        yield Path(copy)
