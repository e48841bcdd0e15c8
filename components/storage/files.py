"""Files that are either whole or not there: atomic writes, hashes, JSON; on this machine or at a remote root.

A remote path (a `UPath`) is handled by components/storage/remote.py, which is imported only where there is one: a
registered model carries this file and reads from its own disk.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.faults import Fault, refused

if TYPE_CHECKING:
    from components.storage.home import AnyPath

_CHUNK = 1 << 20


def sha256_file(path: "AnyPath") -> str:
    """The sha256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    if not isinstance(path, Path):
        from components.storage import remote

        digest.update(remote.read(path))
        return digest.hexdigest()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """The sha256 of a JSON value in its canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def faults_of_the_disk(path: "AnyPath") -> Iterator[None]:
    """Report in one line, naming `path`, what the disk refused inside the block: no space left, no permission."""
    try:
        yield
    except OSError as error:
        if (fault := refused(error, path)) is None:
            raise
        raise fault from error


@contextmanager
def atomic_path(path: "AnyPath") -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed onto `path` when the block ends well.

    The bytes are on disk before the name: after a kill there is the old file or the new one, never half of one. For a
    remote path the temporary file is in this machine's temporary folder, and is then uploaded.

    Raises:
        Fault: no space left, a folder that cannot be written to, or a store that refuses.
    """
    if not isinstance(path, Path):
        from components.storage import remote

        with faults_of_the_disk(path), remote.uploaded(path) as local:
            yield local
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with faults_of_the_disk(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path` to fill; it takes the place of `path` when the block ends well, else it is gone.

    Whoever opens `path` in the meantime sees the complete old folder or the complete new one, and for a moment none.

    Raises:
        Fault: no space left, or a folder that cannot be written to.
    """
    partial, old = (path.with_name(f".{path.name}.{end}") for end in ("partial", "old"))
    try:
        with faults_of_the_disk(path):
            for left in (partial, old):  # by a kill
                shutil.rmtree(left, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            if path.exists():
                path.rename(old)
            partial.rename(path)
    finally:
        for left in (partial, old):
            shutil.rmtree(left, ignore_errors=True)


def require_regular(path: Path) -> None:
    """Refuse a path at which there is something else than a file; a pipe, for one, would keep its reader waiting.

    Raises:
        Fault: naming the path and what stands there.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise Fault(f"{path}: is a link to nothing; remove it and run again") from None
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise Fault(f"{path}: is {what}, not a file; remove it and run again")


def write_bytes(path: "AnyPath", data: bytes) -> None:
    """Write a file atomically."""
    if not isinstance(path, Path):
        from components.storage import remote

        remote.write(path, data)
        return
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: "AnyPath", text: str) -> None:
    """Write a UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: "AnyPath", value: Any, in_order: bool = False) -> None:
    """Write a JSON value atomically, readable and with sorted keys, or `in_order` as they are."""
    write_text(path, json.dumps(value, indent=2, sort_keys=not in_order, allow_nan=False) + "\n")


def put_file(local: Path, path: "AnyPath") -> None:
    """Copy a local file to a path, atomically."""
    if not isinstance(path, Path):
        from components.storage import remote

        remote.upload(local, path)
        return
    with atomic_path(path) as temporary:
        shutil.copyfile(local, temporary)


def read_bytes(path: "AnyPath") -> bytes:
    """All bytes of a file.

    Raises:
        FileNotFoundError: there is none.
        Fault: what is there is no file.
    """
    if isinstance(path, Path):
        require_regular(path)
        return path.read_bytes()
    from components.storage import remote

    return remote.read(path)


def read_range(path: "AnyPath", start: int, stop: int) -> bytes:
    """The bytes of a file from `start` up to `stop`, fewer where it ends before.

    Raises:
        FileNotFoundError: there is none.
    """
    if isinstance(path, Path):
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)
    from components.storage import remote

    return remote.read(path, start, stop)


def read_json(path: "AnyPath") -> Any:
    """Read a JSON file.

    Raises:
        Fault: the file is missing or is not JSON.
    """
    try:
        return json.loads(read_bytes(path).decode())
    except FileNotFoundError:
        raise Fault(f"{path}: not found; run the stage that writes it (dvc repro)") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Fault(f"{path}: not JSON ({error}); remove it and run dvc repro again") from error


def exists(path: "AnyPath") -> bool:
    """Whether there is such a file."""
    if isinstance(path, Path):
        return path.exists()
    from components.storage import remote

    return remote.size(path) is not None


def listed(folder: "AnyPath") -> dict[str, int]:
    """The files below a folder, by their paths relative to it in order, with their sizes; none where it is missing."""
    if not isinstance(folder, Path):
        from components.storage import remote

        return dict(sorted(remote.sizes(folder).items()))
    found = {}
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):  # others may be deleting here
                found[path.relative_to(folder).as_posix()] = path.stat().st_size
    return dict(sorted(found.items()))


def remove(path: "AnyPath") -> None:
    """Delete a file, if there is one."""
    if isinstance(path, Path):
        return path.unlink(missing_ok=True)
    from components.storage import remote

    return remote.remove(path)


def remove_folder(folder: "AnyPath") -> None:
    """Delete a folder and all that is in it, if there is one."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for name in listed(folder):
        remove(folder / name)
