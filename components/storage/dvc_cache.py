"""DVC's cache: checks every object against its name, which is the md5 of its bytes, and says what it belongs to."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tqdm import tqdm

from components.faults import Fault

_CHUNK = 1 << 20
_OBJECT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}(\.dir)?")


class Owner(NamedTuple):
    """What an object belongs to: `file` is an output, or a file in an output that is a folder."""

    stage: str
    output: str
    file: str


def verify_cache(project: Path) -> tuple[list[str], list[str]]:
    """Check every byte of the cache of a project.

    DVC itself trusts an object that it once wrote and made read-only. Missing objects are not a fault: they are
    fetched, or made again, when they are needed.

    Args:
        project: the folder of .dvc, or one below it.

    Returns:
        Lines that say what was found whole, and lines that name what is not (none if all is well).
    """
    cache = cache_of(project)
    if cache is None:
        return [], []
    objects = {path: path.lstat().st_size for path in sorted(cache.glob("??/*")) if _OBJECT.fullmatch(_name(path))}
    wrong: dict[Path, str] = {}
    with tqdm(total=sum(objects.values()), desc="verify cache", unit="B", unit_scale=True, disable=None) as bar:
        for path in objects:
            if reason := _reason(path, bar):
                wrong[path] = reason
    owners = _owners(project, cache, {_oid(path) for path in wrong})
    faults = [f"{path}: {reason}; {_remedy(owners.get(_oid(path), []))}" for path, reason in wrong.items()]
    whole = len(objects) - len(wrong)
    return [f"{cache}: {whole} of {len(objects)} objects are whole, {sum(objects.values()):,} bytes"], faults


def cache_of(project: Path) -> Path | None:
    """Where DVC's config puts the cache; None outside a DVC project."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(project)) as repo:
            return Path(repo.cache.local.path)
    except NotDvcRepoError:
        return None
    except DvcException as error:
        raise Fault(f"{project}: DVC cannot open it ({' '.join(str(error).split())})") from error


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _oid(path: Path) -> str:
    """The name of an object as dvc.lock and the lists of folders give it."""
    return path.parent.name + path.name


def _reason(path: Path, bar: "tqdm[None]") -> str:
    """What is wrong with an object; empty where it is whole."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    if not stat.S_ISREG(path.lstat().st_mode):
        return "is corrupt: it is not a file"
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                bar.update(len(chunk))
    except OSError as error:
        return f"cannot be read ({os.strerror(error.errno or 0)})"
    found = digest.hexdigest()
    return "" if found == _oid(path).removesuffix(".dir") else f"is corrupt: the md5 of its {size:,} bytes is {found}"


def _remedy(owners: list[Owner]) -> str:
    if not owners:
        return "it is of no output known here; remove it, mend the rest and verify again"
    stage, output, file = owners[0]
    more = f" and {len(owners) - 1} more" if len(owners) > 1 else ""
    mend = f"remove it and {output}, then run `dvc pull {stage}` where a remote has it, else `dvc repro {stage}`"
    return f"it is {file} of stage {stage}{more}; {mend}"


def _owners(project: Path, cache: Path, wanted: set[str]) -> dict[str, list[Owner]]:
    """The outputs that objects belong to, as far as dvc.lock and the lists of whole folders say."""
    found: dict[str, list[Owner]] = {}
    if not wanted:
        return found
    for stage, output, oid in _outputs(project):
        if oid in wanted:
            found.setdefault(oid, []).append(Owner(stage, output, output))
        elif oid.endswith(".dir"):
            for entry in _listing(cache / oid[:2] / oid[2:]):
                if entry["md5"] in wanted:
                    found.setdefault(entry["md5"], []).append(Owner(stage, output, f"{output}/{entry['relpath']}"))
    return found


def _outputs(project: Path) -> Iterator[tuple[str, str, str]]:
    """(stage, output, name of its object) of every dvc.lock of the project."""
    for lock in [project / "dvc.lock", *sorted(project.glob("*/dvc.lock"))]:
        if not lock.is_file():
            continue
        try:
            stages = dict(yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"])
            outs = [(stage, out) for stage, entry in stages.items() for out in entry.get("outs", [])]
            prefix = "" if lock.parent == project else f"{lock.parent.name}/dvc.yaml:"
            yield from [(prefix + stage, out["path"], out["md5"]) for stage, out in outs if "md5" in out]
        except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError, AttributeError) as error:
            raise Fault(f"{lock}: not what DVC writes ({type(error).__name__}); take it from git again") from error


def _listing(path: Path) -> list[dict[str, Any]]:
    """The files of a folder, by the object that lists them; none where that is missing or corrupt itself."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != _oid(path).removesuffix(".dir"):
        return []
    listing: list[dict[str, Any]] = json.loads(data)
    return listing
