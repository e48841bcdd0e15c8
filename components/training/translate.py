"""A split through a translator, shared among the ranks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from components.files import faults_of_the_disk
from components.shards.reader import Split
from components.systems.translator import Translator
from components.training.group import Group


@dataclass(frozen=True)
class Translation:
    """What is translated, picklable.

    Attributes:
        translator: a folder with translator.json and its weights.
        shards: root of the split. work: where rank r leaves its part_r.raw.
        batch: pictures read at a time.
    """

    translator: Path
    shards: Path
    split: str
    work: Path
    batch: int = 64


def translate_part(job: Translation, group: Group) -> None:
    """Translate this rank's samples (those of index rank, rank + world, ...) into work/part_RANK.raw."""
    translator = Translator.load(job.translator, group.device.type)
    split = Split(job.shards, job.split)
    domain = translator.card.task[0]
    mine = range(group.rank, len(split), group.world)
    part = job.work / f"part_{group.rank}.raw"
    with (
        faults_of_the_disk(part),
        _opened(part) as file,
        tqdm(total=len(mine), desc="generate", unit="sample", disable=not group.leads) as bar,
    ):
        for start in range(0, len(mine), job.batch):
            indices = mine[start : start + job.batch]
            pictures = np.stack([split.picture(index, domain) for index in indices])
            file.write(translator.translate(pictures).tobytes())
            bar.update(len(indices))


def translated(job: Translation) -> Iterator[tuple[str, dict[str, np.ndarray[Any, Any]]]]:
    """The translated samples in the split's own order, as (key, {target domain: picture})."""
    card = Translator.load(job.translator, "cpu").card
    shape = (*card.size, 3) if card.target.kind == "image" else card.size
    files = [job.work / f"part_{rank}.raw" for rank in range(len(list(job.work.glob("part_*.raw"))))]
    parts = [np.memmap(file, np.uint8, "r").reshape(-1, *shape) for file in files]
    for index, key in enumerate(Split(job.shards, job.split).keys):
        yield key, {card.task[1]: np.asarray(parts[index % len(parts)][index // len(parts)])}


def _opened(part: Path) -> BinaryIO:
    part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("wb")
