"""Whether every byte of a set of shards is what the manifest says."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np
from tqdm import tqdm

from components.faults import Fault
from components.shards.cache import local_shard
from components.shards.index import read_index
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.storage.home import AnyPath


def verify(root: AnyPath) -> tuple[list[str], list[str]]:
    """Check the manifest, the index, every shard and every picture in it.

    Args:
        root: the folder of manifest.json, such as data/shards or data/generated/DIRECTION.

    Returns:
        Lines that say what was found whole, and lines that name what is not (none if all is well).
    """
    try:
        manifest = Manifest.read(root)
        local_shard(root / manifest.index.path, manifest.index.sha256, manifest.index.bytes)
    except Fault as fault:
        return [], [str(fault)]
    whole, faults = [], []
    for name, entries in manifest.splits.items():
        split = Split(root, name)
        found = list(_shards(split))
        faults += found
        if manifest.root is None and isinstance(root, Path):
            faults += _stray(root, name, {entry.path for entry in entries})
        if not found:
            faults += _index(split)
        size = sum(entry.bytes for entry in entries)
        whole.append(f"{root / name}: {len(split)} samples in {len(entries)} shards, {size:,} bytes")
        split.close()
    return whole, faults


def _shards(split: Split) -> Iterator[str]:
    """What is wrong with the shards and the pictures in them: the first fault of each."""
    first = 0
    for number, size in enumerate(tqdm(split.sizes.tolist(), desc=f"verify {split.name}", unit="shard", disable=None)):
        try:
            for i in range(first, first + size):
                split.read(i)
            split.shard(number)  # an empty one too
        except Fault as fault:
            yield str(fault)
        first += size


def _stray(root: Path, split: str, known: set[str]) -> list[str]:
    present = {path.relative_to(root).as_posix() for path in (root / split).glob("*.tar")}
    return [f"{root / path}: is not in the manifest; remove it" for path in sorted(present - known)]


def _index(split: Split) -> Iterator[str]:
    """Where the index or the class totals do not say what the tars hold."""
    columns = ["shard", "key", "domain", "offset", "length"]
    table = read_index(split.root, split.manifest.index, split.name, columns)
    listed = zip(*(table.column(column).to_pylist() for column in columns), strict=True)
    for place, (held, row) in enumerate(zip_longest(_pictures(split), listed)):
        if held != row:
            path = split.root / split.manifest.index.path
            yield f"{path}: says {row} of picture {place} of {split.name}, the shards hold {held}"
            return
    for domain in split.manifest.totals[split.name]:
        if not np.array_equal(split.histograms(domain).sum(0), split.histogram(domain)):
            yield f"{split.root}: the manifest's totals of {domain} are not those of the {split.name} index"


def _pictures(split: Split) -> Iterator[tuple[int, str, str, int, int]]:
    """(shard, key, domain, offset, length) of every picture, from the tars."""
    for number in range(len(split.sizes)):
        shard = split.shard(number)
        for key, places in zip(shard.keys, shard.places.tolist(), strict=True):
            for domain, (offset, length) in zip(sorted(split.domains), places, strict=True):
                yield number, key, domain, offset, length
