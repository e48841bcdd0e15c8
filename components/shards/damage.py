"""Where a shard is damaged, by the checksums that its own headers and pictures carry."""

import re
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

_BLOCK = tarfile.BLOCKSIZE
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ATTRIBUTES = re.compile(rb"\[[01](, [01])*\]")
_CHUNK = 12  # bytes of a chunk of a PNG beside its data: length, kind and checksum


class Damage(NamedTuple):
    """Bytes that are not as they were written: start up to stop, and what they are of."""

    start: int
    stop: int
    what: str

    def __str__(self) -> str:
        return f"bytes {self.start}-{self.stop} ({self.what})"


def find_damage(tar: bytes) -> Damage | None:
    """The first damaged part of a shard; None if its own checksums do not show any damage.

    Parts are the header of a member, a chunk of its PNG, the zeros behind it, and the end of the tar. A header
    is fixed by the name and the length in it; each chunk of a PNG carries a CRC-32.
    """
    offset = 0
    while any(header := tar[offset : offset + _BLOCK]):
        start = offset + _BLOCK
        try:
            info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
            written = tarfile.TarInfo(info.name)
            written.size = info.size
            whole = written.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict") == header
        except (tarfile.HeaderError, ValueError):
            whole = False
        if not whole:
            return Damage(offset, min(start, len(tar)), "a header")
        stop, offset = start + info.size, start + -(-info.size // _BLOCK) * _BLOCK
        if broken := broken_member(info.name, tar[start:stop]):
            return Damage(start + broken[0], start + broken[1], info.name)
        if any(tar[stop:offset]):
            return Damage(stop, offset, f"the zeros behind {info.name}")
    return Damage(offset, len(tar), "the end") if any(tar[offset:]) else None


def damage_of(path: Path) -> Damage | None:
    """As `find_damage`, of a file; None if it is not a tar."""
    return find_damage(path.read_bytes()) if path.suffix == ".tar" else None


def broken_member(name: str, data: bytes) -> tuple[int, int] | None:
    """From where to where a member is not as it can have been written: a chunk of a PNG, or a category's number, or
    a list of attributes."""
    if name.endswith(".cls"):
        return None if data.isdigit() and len(data) <= 3 else (0, len(data))
    if name.endswith(".json"):
        return None if _ATTRIBUTES.fullmatch(data) else (0, len(data))
    return broken_chunk(data)


def broken_chunk(png: bytes) -> tuple[int, int] | None:
    """From where to where the first chunk of a PNG reaches that is not as it was written; None if all are.

    This is needed since Pillow does not check those of the pixels.
    """
    if not png.startswith(_SIGNATURE):
        return 0, len(png)
    start, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        stop = start + _CHUNK + int.from_bytes(png[start : start + 4], "big")
        if stop > len(png) or zlib.crc32(png[start + 4 : stop - 4]) != int.from_bytes(png[stop - 4 : stop], "big"):
            return start, min(stop, len(png))
        start, kind = stop, png[start + 4 : start + 8]
    return (start, len(png)) if start < len(png) else None
