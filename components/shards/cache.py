"""A file of a set (a tar, or the index) as a file of this node, wherever the set lies."""

from pathlib import Path

from components.faults import Fault
from components.files import sha256_file
from components.home import AnyPath
from components.node_cache import local_copy
from components.shards.damage import damage_of


def local_shard(location: AnyPath, sha256: str, size: int) -> Path:
    """A verified file with the bytes that the manifest names: the file itself, or its copy in the node's cache.

    A copy may have to make room for others at any time: open it at once, and ask again if it has gone. What
    is open stays readable.

    Args:
        location: of the file.
        sha256: as the manifest says.
        size: in bytes, as the manifest says.

    Raises:
        Fault: it is missing or is not, byte for byte, what the manifest says.
    """
    if isinstance(location, Path):
        check_file(location, sha256, size)
        return location
    return local_copy(location, sha256, size)


def check_file(path: Path, sha256: str, size: int) -> None:
    """Refuse a file that is not, byte for byte, what the manifest names.

    Raises:
        Fault: naming the file and the bytes, of a tar also the part of it where the damage begins.
    """
    remedy = f"remove {path.name} and its copy in the DVC cache, then run dvc repro"
    try:
        found = path.stat().st_size
        if found != size:
            raise Fault(f"{path}: has bytes 0-{found}, the manifest says 0-{size}; {remedy}")
        if sha256_file(path) != sha256:
            where = f", the damage begins in {damage}" if (damage := damage_of(path)) else ""
            raise Fault(
                f"{path}: bytes 0-{size} do not have the sha256 of the manifest ({sha256[:12]}){where}; {remedy}"
            )
    except FileNotFoundError:
        raise Fault(f"{path}: not found, though the manifest names it; {remedy}") from None
    except OSError as error:
        raise Fault(f"{path}: cannot be read ({error.strerror})") from error
