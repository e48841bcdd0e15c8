"""Writes samples into shards: all cores encode, one process writes, and the bytes are always the same."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from components.faults import Fault
from components.samples.domain import Domain, Picture
from components.samples.source import Source, Unit
from components.samples.task import Task
from components.shards.config import ShardConfig
from components.shards.index import write_index
from components.shards.manifest import BadEntry, Manifest, ShardEntry, held_domains
from components.shards.pool import ordered_map
from components.shards.store import Store
from components.shards.tar import Encoded, TarWriter, encode
from components.storage.files import atomic_folder
from components.storage.home import AnyPath

_CHUNK = 16


@dataclass
class _Set:
    """What has been written of a set of shards."""

    splits: dict[str, tuple[ShardEntry, ...]] = field(default_factory=dict)
    store: Store | None = None
    totals: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    bad: list[BadEntry] = field(default_factory=list)

    def finish(
        self,
        folder: Path,
        source: str,
        domains: Mapping[str, Domain],
        task: Task,
    ) -> Manifest:
        """Write the index and, last, the manifest; both are copied to the store, if there is one."""
        manifest = Manifest(
            source=source,
            domains=dict(domains),
            task=task,
            root=str(self.store.root) if self.store else None,
            splits=self.splits,
            totals=self.totals,
            bad=tuple(self.bad),
            index=write_index(folder, self.rows),
        )
        manifest.write(folder)
        if self.store:
            self.store.publish(manifest, folder)
        return manifest


def write_shards(source: Source, root: Path, config: ShardConfig, store: AnyPath | None = None) -> Manifest:
    """Write every sample of a source below `root`: tars, index.parquet and, last, manifest.json.

    The set is built in a folder beside `root`, which it replaces when it is complete. With a `store`, each tar goes
    there as soon as it is finished, and `root` gets only the manifest and the index.

    Raises:
        Fault: more than `config.max_bad` samples are bad, a split is left empty, or nothing can be written.
    """
    done = _Set(store=Store(store) if store else None)
    _check_keys(source)
    total = sum(len(units) for units in source.splits.values())
    with atomic_folder(root) as folder, tqdm(total=total, unit="sample", desc="shard", smoothing=0.1) as bar:
        for split, units in source.splits.items():
            good = _encode_all(source, split, units, config.num_workers, done.bad, bar)
            _pack(folder, split, good, config.samples_per_shard, done)
        if len(done.bad) > config.max_bad:
            raise Fault(
                f"{len(done.bad)} bad samples, more than shard.max_bad = {config.max_bad}; "
                f"the first: {done.bad[0].reason}"
            )
        if empty := [split for split, entries in done.splits.items() if not entries]:
            raise Fault(f"the {empty[0]} split is empty: none of its samples is good")
        return done.finish(folder, source.name, source.domains, source.task)


def write_set(
    root: Path,
    source: str,
    domains: Mapping[str, Domain],
    task: Task,
    splits: Mapping[str, Iterable[tuple[str, Mapping[str, Picture]]]],
    samples_per_shard: int = 512,
    store: AnyPath | None = None,
) -> Manifest:
    """Write samples given as arrays, in the layout of `write_shards`; `Split` reads them.

    Args:
        root: replaced as a whole when the new set is whole.
        source: the name of the source the samples come from.
        domains: of the pictures in each sample, with their sizes.
        task: what is asked of the samples.
        splits: split -> (key, {domain: uint8 picture}), in the order they are to be written; of an unaligned
            set train/DOMAIN -> (key, {that domain: picture}).
        samples_per_shard: samples in one tar.
        store: where the tars go, if not below `root`.

    Raises:
        Fault: a sample is not what `domains` says, or nothing can be written.
    """
    done = _Set(store=Store(store) if store else None)
    with atomic_folder(root) as folder:
        for split, samples in splits.items():
            shown = _shown(domains, split)
            good = (encode(key, pictures, shown) for key, pictures in samples)
            _pack(folder, split, good, samples_per_shard, done)
        return done.finish(folder, source, domains, task)


def _check_keys(source: Source) -> None:
    seen: set[str] = set()
    for units in source.splits.values():
        for unit in units:
            if unit.key in seen:
                raise Fault(f"{source.name}: two samples have the key {unit.key}; rename one of their files")
            seen.add(unit.key)


def _encode_all(
    source: Source, split: str, units: Sequence[Unit], num_workers: int, bad: list[BadEntry], bar: Any
) -> Iterator[Encoded]:
    """The good samples of a split in order; the bad ones are named on stderr and listed in `bad`."""
    iterator = iter(units)
    chunks = iter(lambda: list(islice(iterator, _CHUNK)), [])
    for results in ordered_map(_read_chunk, (source, _shown(source.domains, split)), chunks, num_workers):
        for key, result in results:
            if isinstance(result, Encoded):
                yield result
            else:
                tqdm.write(f"bad sample: {result}", file=sys.stderr)
                bad.append(BadEntry(split=split, key=key, reason=result))
        bar.update(len(results))


def _shown(domains: Mapping[str, Domain], split: str) -> dict[str, Domain]:
    """The domains that the samples of a split show."""
    return {name: domains[name] for name in held_domains(domains, split)}


def _read_chunk(shared: tuple[Source, Mapping[str, Domain]], units: list[Unit]) -> list[tuple[str, Encoded | str]]:
    """Each unit's key with the encoded sample, or with what is wrong with it."""
    source, domains = shared
    results: list[tuple[str, Encoded | str]] = []
    for unit in units:
        try:
            pictures = source.read(unit)
        except Fault as fault:
            results.append((unit.key, str(fault)))
            continue
        results.append((unit.key, encode(unit.key, pictures, domains)))
    return results


def _pack(folder: Path, split: str, samples: Iterable[Encoded], per_shard: int, done: _Set) -> None:
    """Write the shards of one split below `folder` and note them in `done`."""
    iterator = iter(samples)
    entries: list[ShardEntry] = []
    totals: dict[str, Any] = {}
    while first := next(iterator, None):
        with TarWriter(folder, f"{split}/{len(entries):05d}.tar") as writer:
            writer.add(first)
            for sample in islice(iterator, per_shard - 1):
                writer.add(sample)
        entry = writer.entry()
        entries.append(done.store.put(folder, entry) if done.store else entry)
        done.rows += [{"split": split, "shard": len(entries) - 1} | row for row in writer.rows]
        for row in writer.rows:
            if row["histogram"] is not None:
                totals[row["domain"]] = totals.get(row["domain"], 0) + np.array(row["histogram"])
    if not entries and not done.bad:
        raise Fault(f"the {split} split is empty; every split needs at least one sample")
    done.splits[split] = tuple(entries)
    done.totals[split] = {domain: tuple(counts.tolist()) for domain, counts in sorted(totals.items())}
