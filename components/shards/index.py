"""The sample index: where each picture lies, as Parquet beside the manifest."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.shards.cache import open_shard
from components.shards.manifest import INDEX, IndexEntry
from components.storage.files import atomic_path, sha256_file
from components.storage.home import AnyPath

_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("split", _TEXT),
        ("shard", pa.int32()),  # its place among the split's shards, from 0
        ("key", pa.string()),
        ("domain", _TEXT),
        ("offset", pa.int64()),  # of the PNG in the tar, bytes
        ("length", pa.int64()),
        ("histogram", pa.list_(pa.int64())),  # pixels of each class; null for an image
    ]
)


def write_index(root: Path, rows: list[dict[str, Any]]) -> IndexEntry:
    """Write root/index.parquet, one row a picture, in the order of the shards."""
    path = root / INDEX
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), temporary, compression="zstd")
    return IndexEntry(sha256=sha256_file(path), bytes=path.stat().st_size)


def read_index(root: AnyPath, entry: IndexEntry, split: str, columns: list[str], domain: str | None = None) -> Any:
    """Columns of one split's rows (of one domain's, if named), as a pyarrow table, in the order of the shards.

    Raises:
        Fault: the index is missing, or is not the one the manifest was written with.
    """
    _, file = open_shard(root / entry.path, entry.sha256, entry.bytes)
    wanted = [("split", "=", split)] + ([("domain", "=", domain)] if domain else [])
    with os.fdopen(file, "rb") as opened:
        return pq.read_table(opened, columns=columns, filters=wanted)
