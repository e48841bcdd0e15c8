"""A shard as a local file whose bytes have been checked."""

from pathlib import Path

from components.shards.index import check_file


def local_shard(location: Path, sha256: str, size: int) -> Path:
    """The tar at `location` as a file of this machine.

    Raises:
        Fault: it is missing, or is not byte for byte what the manifest names.
    """
    check_file(location, sha256, size)
    return location
