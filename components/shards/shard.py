"""Shard: one tar, opened and checked when it is first read."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

import numpy as np

from components.faults import Fault
from components.shards.damage import broken_member

_BLOCK = 512  # of a tar: headers are one, contents are padded to whole ones


class Shard:
    """Random access to the members of a tar. Safe to read from several threads.

    The places come from the tar's own headers: its bytes have been verified, and reading 1,024 headers takes 3 ms. (A
    row group of the index for each tar would let a reader look up just these, but the Parquet footer takes 0.76 kB for
    each, 76 MB for 10^5 tars, read by every rank.)

    Args:
        open_file: gives the path and the descriptor of the checked file; called once, when a sample is first read.
        samples: how many the manifest promises.
        domains: what each sample holds, in any order, and what its member of each ends in (png, cls).
    """

    def __init__(self, open_file: Callable[[], tuple[Path, int]], samples: int, domains: Mapping[str, str]) -> None:
        self._open, self._samples = open_file, samples
        self._members = {domain: f"{domain}.{domains[domain]}" for domain in sorted(domains)}
        self._column = {domain: i for i, domain in enumerate(self._members)}
        self._lock = Lock()
        self._file: int | None = None

    def open(self) -> "Shard":
        """Open the tar and find the places of its samples, if that has not been done.

        Raises:
            Fault: the file is not what the manifest says, or does not hold its samples.
        """
        with self._lock:
            if self._file is None:
                self.path, self._file = self._open()
                try:
                    self.keys, self.places = _walk(self._file, self.path, self._samples, list(self._members.values()))
                except BaseException:
                    os.close(self._file)
                    self._file = None
                    raise
        return self

    def member(self, i: int, domain: str) -> bytes:
        """The encoded bytes of one member of sample i of an open shard.

        Raises:
            Fault: they have changed since the shard was checked.
        """
        assert self._file is not None
        offset, length = self.places[i, self._column[domain]].tolist()
        data = os.pread(self._file, length, offset)
        if len(data) != length:
            raise Fault(f"{self.where(i, domain)}: the file ends before this picture does")
        if broken := broken_member(self._members[domain], data):
            raise Fault(
                f"{self.where(i, domain)}: changed since the shard was checked, "
                f"at bytes {offset + broken[0]}-{offset + broken[1]}; check that nothing writes to it, and check the "
                "disk"
            )
        return data

    def where(self, i: int, domain: str) -> str:
        """The file, the bytes and the name of one picture, for messages."""
        offset, length = self.places[i, self._column[domain]].tolist()
        return f"{self.path}: bytes {offset}-{offset + length} ({self.keys[i]}.{self._members[domain]})"

    def __del__(self) -> None:
        # Closed when nobody refers to it: a thread that still reads is never handed another file's bytes.
        if getattr(self, "_file", None) is not None:
            os.close(self._file)  # type: ignore[arg-type]


def _walk(file: int, path: Path, samples: int, members: list[str]) -> tuple[list[str], np.ndarray]:
    """The keys of a tar's samples, and the (offset, length) of each member, int64 (samples, members, 2).

    Raises:
        Fault: its members are not `samples` groups of KEY.MEMBER, each with all members, sorted.
    """
    size = os.fstat(file).st_size
    if samples * len(members) * _BLOCK > size:
        raise Fault(f"{path}: its {size} bytes cannot hold the {samples} samples that the manifest gives it")
    keys: list[str] = []
    places = np.empty((samples, len(members), 2), np.int64)
    offset = 0
    for i in range(samples):
        for column, member in enumerate(members):
            header = os.pread(file, _BLOCK, offset)
            name, length = _member(header)
            if column == 0:
                keys.append(name.removesuffix(f".{member}"))
            if name != f"{keys[i]}.{member}" or "." in keys[i] or not keys[i]:
                found = f"member {name}" if name else "the end"
                wanted = member.partition(".")[0]
                raise Fault(f"{path}: {found} at byte {offset} where {wanted} of sample {i} of {samples} should be")
            if not 0 <= length <= size - offset - _BLOCK:
                raise Fault(f"{path}: member {name} at byte {offset} cannot have {length} bytes; the tar has {size}")
            places[i, column] = offset + _BLOCK, length
            offset += _BLOCK + -(-length // _BLOCK) * _BLOCK
    if _member(os.pread(file, _BLOCK, offset))[0]:
        raise Fault(f"{path}: holds more than the {samples} samples that the manifest gives it")
    return keys, places


def _member(header: bytes) -> tuple[str, int]:
    """The name and length of the regular file that a header announces; no name at the end of the tar."""
    try:
        if header[156:157] in (b"0", b"\0") and header[257:262] == b"ustar":
            return header[:100].rstrip(b"\0").decode("ascii"), int(header[124:136].rstrip(b"\0 "), 8)
    except ValueError:
        pass
    return "", 0
