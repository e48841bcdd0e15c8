"""Samples out of tars that somebody else made, read through the WebDataset library."""

import hashlib
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from components.faults import Fault
from components.sources.archive import SUFFIXES, tar_members, whole, write_member
from components.sources.folder import archive_of, public_name
from components.sources.folder_config import Origin
from components.sources.pictures import MAX_BYTES
from components.sources.webdataset_config import WebdatasetConfig
from components.storage.files import atomic_folder, sha256_file, write_text

MEMBERS = "members"
_TARS = tuple(suffix for suffix in SUFFIXES if suffix != ".zip")
_META = re.compile(r"__[^/]*__($|/)")  # members that tell of a tar; the library skips them
Found = dict[str, dict[str, str]]  # key -> domain -> ending


def fetch_webdataset(config: WebdatasetConfig, root: Path, cache: Path) -> None:
    """Fill root/webdataset with the members that params name, a file each, and source.json, which lists every sample.

    Raises:
        Fault: no such place, a wrong hash, a broken tar, a member whose key has a dot, members of one sample that do
            not stand together, no samples, or nothing can be written.
    """
    max_bytes = int(config.max_gigabytes * 1e9)
    one = archive_of(Origin("fetch", config.path, config.sha256, ""), cache, max_bytes)
    base = one.parent if one else Path(config.path).expanduser()
    tars = [one] if one else sorted(path for path in base.rglob("*") if path.is_file() and _is_tar(path))
    if not tars or not all(map(_is_tar, tars)):
        raise Fault(f"fetch.path: {config.path} is no tar and holds none ({' '.join(_TARS)})")
    samples: list[dict[str, Any]] = []
    passed: Counter[str] = Counter()
    with atomic_folder(root / config.name) as stage:
        for path in tqdm(tars, unit="tar", desc="read"):
            tar = public_name(config.path) if one else path.relative_to(base).as_posix()
            found = _found(path, tar, config, max_bytes, passed)
            place = stem(tar)
            _write(path, tar, stage / MEMBERS / place, found, config, max_bytes)
            for key, endings in found.items():
                files = {domain: f"{place}/{key}.{ending}" for domain, ending in endings.items()}
                samples.append({"tar": tar, "key": key, "files": files})
        complete = sum(len(sample["files"]) == len(config.endings) for sample in samples)
        if not complete:
            raise Fault(f"{config.path}: no sample has a member of each domain; see fetch.members")
        _describe(config, stage, samples)
    beside = ", ".join(f"{count} {ending}" for ending, count in sorted(passed.items()))
    counted = f"{config.path}: {len(tars)} tars, {len(samples)} samples, {len(samples) - complete} of them incomplete"
    tqdm.write(counted + (f"; passed over {beside}" if beside else ""), file=sys.stderr)


def stem(tar: str) -> str:
    """The name of a tar without its ending."""
    return next(tar[: -len(suffix)] for suffix in sorted(_TARS, key=len, reverse=True) if tar.lower().endswith(suffix))


def _is_tar(path: Path) -> bool:
    return path.name.lower().endswith(_TARS) and not path.name.startswith(".")


def _found(path: Path, tar: str, config: WebdatasetConfig, max_bytes: int, passed: Counter[str]) -> Found:
    """Every sample of a tar, complete or not, by the names of its members; nothing of them is read yet.

    The library would merge members whose keys have dots, split a sample whose members do not stand together, and take a
    tar that was cut for a whole one, all without a word.
    """
    from webdataset.tariterators import base_plus_ext  # not above: it imports torch, and commands are to be quick

    found: Found = {}
    last = ""
    for name in tar_members(path, max_bytes, MAX_BYTES):
        if _META.match(name):
            continue
        key, ending = base_plus_ext(name)
        if key is None:
            passed["without an ending"] += 1
            continue
        ending = ending.lower()
        if ending in config.members and config.members[ending] is None:
            passed[f".{ending}"] += 1
            continue
        domain, sample = config.members.get(ending), found.setdefault(key, {})
        if domain is None:
            if tail := next((of for of in config.members if ending.endswith(f".{of}")), None):
                raise Fault(
                    f"{tar}: sample {key}: {name} ends in {ending!r}, since a key ends at its first dot; name that "
                    f"ending in fetch.members (null passes it over), or write the tar without dots before .{tail}"
                )
            passed[f".{ending}"] += 1
        elif domain in sample:
            raise Fault(f"{tar}: sample {key}: has two members for {domain}, .{sample[domain]} and .{ending}")
        elif sample and key != last:
            raise Fault(f"{tar}: sample {key}: its members do not stand together; write the tar again, sorted by name")
        else:
            sample[domain], last = ending, key
    return found


def _write(path: Path, tar: str, target: Path, found: Found, config: WebdatasetConfig, max_bytes: int) -> None:
    """Every member that is named in params, below `target`."""
    left, count = max_bytes, 0
    for sample in _samples(path, tar, config):
        key = sample["__key__"]
        for ending in found.get(key, {}).values():
            member = f"{key}.{ending}"
            left = write_member(path, member, partial(io.BytesIO, sample[ending]), target / member, left)
            count += 1
    if count != (expected := sum(map(len, found.values()))):
        raise Fault(f"{tar}: {count} of the {expected} members that its headers name could be read; write it again")


def _samples(path: Path, tar: str, config: WebdatasetConfig) -> Iterator[Mapping[str, Any]]:
    from webdataset.tariterators import base_plus_ext, group_by_keys, tar_file_expander

    def named(member: str) -> bool:
        key, ending = base_plus_ext(member)
        return key is not None and config.members.get(ending.lower()) is not None

    with path.open("rb") as stream:  # not by its name, which the library would take for a URL or a command
        yield from whole(path, group_by_keys(tar_file_expander([{"url": tar, "stream": stream}], select_files=named)))


def _describe(config: WebdatasetConfig, stage: Path, samples: list[dict[str, Any]]) -> None:
    """Write source.json: every sample, and the hash of every file."""
    files = {name: sha256_file(stage / MEMBERS / name) for each in samples for name in each["files"].values()}
    about = {
        "name": config.name,
        "licence": "unknown: the owner's own tars",
        "origin": public_name(config.path),
        "tree_sha256": hashlib.sha256(json.dumps(files).encode()).hexdigest(),
        "samples": samples,
        "files": files,
        "config": config.kept(),
    }
    # Not sorted: the order of classes is that of their indices.
    write_text(stage / "source.json", json.dumps(about, indent=1) + "\n")
