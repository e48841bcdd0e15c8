"""A split through a translator, shared among the ranks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from components.shards.reader import Split
from components.systems.translator import Translator
from components.training.group import Group


@dataclass(frozen=True)
class Translation:
    """What is translated, picklable.

    Attributes:
        translator: a folder with translator.json and its weights.
        shards: root of the split. work: where rank r leaves its part_r.npy.
        batch: pictures read at a time.
    """

    translator: Path
    shards: Path
    split: str
    work: Path
    batch: int = 64


def translate_part(job: Translation, group: Group) -> None:
    """Translate this rank's samples (those of index rank, rank + world, ...) into work/part_RANK.npy."""
    translator = Translator.load(job.translator, group.device.type)
    split = Split(job.shards, job.split)
    domain = translator.card.task[0]
    mine = range(group.rank, len(split), group.world)
    channels = (3,) if translator.target.kind == "image" else ()
    job.work.mkdir(parents=True, exist_ok=True)
    shape = (len(mine), *translator.size, *channels)
    part = np.lib.format.open_memmap(job.work / f"part_{group.rank}.npy", mode="w+", dtype=np.uint8, shape=shape)
    with tqdm(total=len(mine), desc="generate", unit="sample", disable=not group.leads) as bar:
        for start in range(0, len(mine), job.batch):
            indices = mine[start : start + job.batch]
            part[start : start + len(indices)] = translator.translate(
                np.stack([split.picture(index, domain) for index in indices])
            )
            bar.update(len(indices))
    part.flush()


def translated(job: Translation) -> Iterator[tuple[str, dict[str, np.ndarray[Any, Any]]]]:
    """The translated samples in the split's own order, as (key, {target domain: picture})."""
    target = Translator.load(job.translator, "cpu").card.task[1]
    parts = [
        np.load(job.work / f"part_{rank}.npy", mmap_mode="r") for rank in range(len(list(job.work.glob("part_*.npy"))))
    ]
    for index, key in enumerate(Split(job.shards, job.split).keys):
        yield key, {target: np.asarray(parts[index % len(parts)][index // len(parts)])}
