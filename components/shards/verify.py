"""Whether every byte of a set of shards is what the manifest says."""

import tarfile
from pathlib import Path

from components.faults import Fault
from components.shards.index import check_file
from components.shards.manifest import MANIFEST, Manifest
from components.shards.reader import Split


def verify(root: Path) -> tuple[list[str], list[str]]:
    """Check the manifest, the index, every shard and every picture in it.

    Args:
        root: the folder of manifest.json, such as data/shards or data/generated.

    Returns:
        Lines that say what was found whole, and lines that name what is not (none if all is well).
    """
    try:
        manifest = Manifest.read(root)
        check_file(root / manifest.index.path, manifest.index.sha256, manifest.index.bytes)
    except Fault as fault:
        return [], [str(fault)]
    whole, faults = [], []
    for name, entries in manifest.splits.items():
        for entry in entries:
            try:
                check_file(root / entry.path, entry.sha256, entry.bytes)
                _check_members(root / entry.path, entry.keys, sorted(manifest.domains))
            except Fault as fault:
                faults.append(str(fault))
        faults += _stray(root, name, {entry.path for entry in entries})
        if not faults:
            try:
                _check_pictures(root, name)
            except Fault as fault:
                faults.append(str(fault))
        size = sum(entry.bytes for entry in entries)
        samples = sum(len(entry.keys) for entry in entries)
        whole.append(f"{root / name}: {samples} samples in {len(entries)} shards, {size:,} bytes")
    return whole, faults


def _check_members(path: Path, keys: tuple[str, ...], domains: list[str]) -> None:
    """Refuse a tar whose members are not, in order, those of its samples."""
    expected = [f"{key}.{domain}.png" for key in keys for domain in domains]
    try:
        with tarfile.open(path) as tar:
            found = tar.getnames()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Fault(f"{path}: not a tar ({error})") from error
    if found != expected:
        raise Fault(f"{path}: its members are not the samples of {MANIFEST}")


def _stray(root: Path, split: str, known: set[str]) -> list[str]:
    present = {path.relative_to(root).as_posix() for path in (root / split).glob("*.tar")}
    return [f"{root / path}: is not in the manifest; remove it" for path in sorted(present - known)]


def _check_pictures(root: Path, split: str) -> None:
    samples = Split(root, split)
    for i in range(len(samples)):
        samples.read(i)
    samples.close()
