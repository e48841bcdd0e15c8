"""A shard as a file of this node, wherever its set lies."""

import os
from pathlib import Path

from components.home import AnyPath
from components.node_cache import local_copy, open_copy
from components.shards.index import check_file


def local_shard(location: AnyPath, sha256: str, size: int) -> Path:
    """A verified file with a shard's bytes: the shard itself, or the copy in the node's cache.

    Args:
        location: of the tar.
        sha256: as the manifest says.
        size: in bytes, as the manifest says.

    Raises:
        Fault: the tar is missing or is not, byte for byte, what the manifest says.
    """
    if isinstance(location, Path):
        check_file(location, sha256, size)
        return location
    return local_copy(location, sha256, size)


def open_shard(location: AnyPath, sha256: str, size: int) -> int:
    """The same, as a file descriptor: it stays readable when the cache makes room for other shards."""
    if isinstance(location, Path):
        return os.open(local_shard(location, sha256, size), os.O_RDONLY | os.O_CLOEXEC)
    return open_copy(location, sha256, size)
