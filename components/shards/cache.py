"""A file of a set (a tar, or the index) as a file on this node, wherever the set is stored."""

import hashlib
import os
import stat
from pathlib import Path

from components.faults import Fault
from components.shards.damage import damage_of
from components.storage.home import AnyPath
from components.storage.node_cache import local_copy


def local_shard(location: AnyPath, sha256: str, size: int) -> Path:
    """A verified file with the bytes that the manifest names: the file itself, or its copy in the node's cache.

    A copy may be removed at any time to make space for others: open it at once, and ask again if it is gone. An open
    file stays readable.

    Args:
        location: of the file.
        sha256: as the manifest says.
        size: in bytes, as the manifest says.

    Raises:
        Fault: it is missing or differs from the manifest.
    """
    if not isinstance(location, Path):
        return local_copy(location, sha256, size)
    os.close(open_shard(location, sha256, size)[1])
    return location


def open_shard(location: AnyPath, sha256: str, size: int) -> tuple[Path, int]:
    """Like `local_shard`, but open: exactly the file that was checked, even if another has its name by now.

    Returns:
        Its path, for messages, and its descriptor, which is the caller's to close.
    """
    while True:
        path = location if isinstance(location, Path) else local_copy(location, sha256, size)
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for a writer
        except FileNotFoundError:
            if path is location:
                raise Fault(f"{path}: not found, though the manifest names it; {_remedy(path)}") from None
            continue  # the node's cache has just made room for another
        except OSError as error:
            raise Fault(f"{path}: cannot be opened ({error.strerror})") from error
        try:
            if path is location:
                check_file(path, sha256, size, file)
        except BaseException:
            os.close(file)
            raise
        return path, file


def check_file(path: Path, sha256: str, size: int, file: int) -> None:
    """Refuse an open file that is not, byte for byte, what the manifest names; `path` is what messages call it.

    Raises:
        Fault: naming the file and the bytes, of a tar also the part of it where the damage begins.
    """
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Fault(f"{path}: is not a file (but a folder, a pipe or a device); {_remedy(path)}")
        found = os.fstat(file).st_size
        if found != size:
            raise Fault(f"{path}: has bytes 0-{found}, the manifest says 0-{size}; {_remedy(path)}")
        with os.fdopen(os.dup(file), "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != sha256:
            where = f", the damage begins in {damage}" if (damage := damage_of(path)) else ""
            raise Fault(
                f"{path}: bytes 0-{size} do not have the sha256 of the manifest ({sha256[:12]}){where}; {_remedy(path)}"
            )
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({error.strerror})") from error


def _remedy(path: Path) -> str:
    return f"remove {path.name} and its copy in the DVC cache, then run dvc repro"
