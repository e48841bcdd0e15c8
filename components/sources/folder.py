"""Your own pictures: a folder, an archive or a URL, in one of the usual layouts."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from components.faults import Fault
from components.sources.archive import SUFFIXES, is_archive, unpack
from components.sources.download import download
from components.sources.folder_config import FolderConfig, Origin
from components.sources.formats import EXTENSIONS
from components.sources.passed import PassedOver
from components.storage.files import atomic_folder, read_json, sha256_file, write_text

PICTURES = "pictures"
TABLE_ENDING = ".csv"


def fetch_folder(config: FolderConfig, root: Path, cache: Path) -> None:
    """Fill root/folder with the pictures, as they are, and source.json.

    Only files with the extension of a picture are copied, and tables where the layout has one. Everything is built in a
    temporary folder and renamed at the end, so a broken archive or a full disk leaves nothing behind.

    Raises:
        Fault: no such folder, a wrong hash, a broken archive, no pictures, or nothing can be written.
    """
    folder = root / config.name
    max_bytes = int(config.max_gigabytes * 1e9)
    taken = EXTENSIONS | ({TABLE_ENDING} if config.layout == "attributes" else set())
    archives = {origin: archive_of(origin, cache, max_bytes) for origin in config.origins}
    with atomic_folder(folder) as stage:
        for origin, archive in archives.items():
            target, passed = stage / PICTURES / origin.folder, PassedOver(origin.path)
            if archive:
                unpack(archive, target, taken, max_bytes, passed.add)
            else:
                _copy(Path(origin.path), target, taken, passed)
            passed.say()
            if not any(path.is_file() and path.suffix.lower() in EXTENSIONS for path in target.rglob("*")):
                raise Fault(f"{origin.path}: holds no pictures ({' '.join(sorted(EXTENSIONS))})")
        _describe(config, stage, archives)


def read_folder(root: Path) -> tuple[FolderConfig, dict[str, str]]:
    """The config that root/folder was fetched with, and the sha256 of each file below its pictures.

    Raises:
        Fault: fetch has not run.
    """
    about = read_json(root / "folder" / "source.json")
    hashes = {name.removeprefix(f"{PICTURES}/"): sha256 for name, sha256 in about["files"].items()}
    return FolderConfig.model_validate(about["config"]), hashes


def archive_of(origin: Origin, cache: Path, max_bytes: int) -> Path | None:
    """The archive to unpack, or None where the path is a folder.

    Raises:
        Fault: there is none, or it has another hash than params say.
    """
    where = origin.section
    if "://" in origin.path:
        archive = download(origin.path, origin.sha256, cache, max_bytes, section=where)
    else:
        archive = Path(origin.path).expanduser()
        if archive.is_dir():
            return None
        if not archive.is_file():
            raise Fault(f"{where}.path: {origin.path} is neither a folder nor a file")
        if origin.sha256 and (found := sha256_file(archive)) != origin.sha256:
            raise Fault(f"{origin.path}: its sha256 is {found}, {where}.sha256 says {origin.sha256}")
    if not is_archive(archive):
        raise Fault(f"{where}.path: {origin.path} is not an archive ({' '.join(SUFFIXES)})")
    return archive


def _copy(source: Path, target: Path, taken: frozenset[str], passed: PassedOver) -> None:
    source = source.expanduser()
    for path in tqdm(sorted(_pictures(source, taken, passed)), unit="file", desc=f"copy {source.name}"):
        if not path.is_file():
            raise Fault(f"{path}: is not a file (but a link to nothing, or a device); remove it")
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _pictures(source: Path, taken: frozenset[str], passed: PassedOver) -> Iterator[Path]:
    """Every file of the kinds that are taken below a folder; linked folders are entered, each real one once."""
    entered: set[str] = set()
    for folder, folders, files in os.walk(source, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        for name in files:
            if Path(name).suffix.lower() in taken and not name.startswith("."):
                yield Path(folder) / name
            else:
                passed.add(name)


def _describe(config: FolderConfig, stage: Path, archives: dict[Origin, Path | None]) -> None:
    """Write source.json: the hash and the size of every picture, and one hash for them all."""
    pictures = sorted(path for path in (stage / PICTURES).rglob("*") if path.is_file())
    files = {path.relative_to(stage).as_posix(): sha256_file(path) for path in pictures}
    tree = hashlib.sha256(
        "".join(f"{digest}  {name}\n" for name, digest in files.items()).encode("utf-8", "surrogateescape")
    )
    hashes = [sha256_file(archive) if archive else None for archive in archives.values()]
    kept = config.model_dump(mode="json")
    for part in (kept, kept["a"], kept["b"]):
        part["path"] = part["path"] and (Path(part["path"]).name or ".")
    about: dict[str, Any] = {
        "name": config.name,
        "licence": "unknown: the owner's own pictures",
        "origin": " and ".join(public_name(origin.path) for origin in archives),
        "archive_sha256": hashes[0] if len(hashes) == 1 else hashes,
        "tree_sha256": tree.hexdigest(),
        "files": files,
        "config": kept,
    }
    # Not sorted: the order of a palette is the order of the class indices.
    write_text(stage / "source.json", json.dumps(about, indent=2) + "\n")
    tqdm.write(f"{' and '.join(origin.path for origin in archives)}: {len(files)} pictures", file=sys.stderr)


def public_name(path: str) -> str:
    """A URL as it is; of a place on this machine, the name alone."""
    return path if "://" in path else Path(path).name
