"""Pictures out of a .zip or .tar archive that may be broken, or made to do harm."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from components.faults import Fault

MAX_MEMBERS = 2_000_000
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_CHUNK = 1 << 20
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError, NotImplementedError)
# Its name and, unless it is a folder, how to open it.
_Member = tuple[str, Callable[[], IO[bytes]] | None]


def is_archive(path: Path) -> bool:
    """Whether the name is one of an archive that can be unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, target: Path, extensions: frozenset[str], max_bytes: int) -> None:
    """Write the members with one of the extensions below `target`; others are passed over.

    Raises:
        Fault: a broken or truncated archive, a member that is a link or would land outside `target` or twice
            in one place, or more than `max_bytes` or 2,000,000 members.
    """
    left = max_bytes
    try:
        members = _zip(archive) if archive.name.lower().endswith(".zip") else _tar(archive)
        with tqdm(unit="file", desc=f"unpack {archive.name}") as bar:
            for count, (name, opened) in enumerate(members):
                if count >= MAX_MEMBERS:
                    raise Fault(f"{archive}: more than {MAX_MEMBERS:,} members")
                path = target / _inside(archive, name)
                if opened is None or path.suffix.lower() not in extensions or path.name.startswith("."):
                    continue
                left = _copy(archive, name, opened, path, left)
                bar.update()
    except _BROKEN as error:
        raise Fault(f"{archive}: broken or truncated archive ({error}); fetch it again") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise Fault(f"{archive}: two members would be the same file ({error.filename})") from error


def _copy(archive: Path, name: str, opened: Callable[[], IO[bytes]], path: Path, left: int) -> int:
    """Write one member; how many bytes may still follow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened() as source, path.open("xb") as file:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise Fault(f"{archive}: unpacks to too much at {name}; raise fetch.max_gigabytes if that is right")
            file.write(chunk)
    return left


def _inside(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0] or "\0" in name:
        raise Fault(f"{archive}: member {name!r} would land outside its folder; do not trust this archive")
    return path


def _zip(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise Fault(_link(archive, info.filename))
            yield info.filename, None if info.is_dir() else partial(file.open, info)


def _tar(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as file:
        for member in file:
            if not (member.isfile() or member.isdir()):
                raise Fault(_link(archive, member.name))
            yield member.name, partial(_extract, file, member) if member.isfile() else None
        # tarfile takes a cut between two members, or a broken header, for the end. A whole archive closes with
        # two empty blocks and nothing after them; reading on also makes the compressor check its sum.
        assert file.fileobj is not None
        closing = file.fileobj.tell() - file.offset
        while chunk := file.fileobj.read(_CHUNK):
            if chunk.count(0) < len(chunk):
                raise tarfile.ReadError(f"no member header at byte {file.offset}")
            closing += len(chunk)
        if closing < 2 * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("its end is missing")


def _extract(file: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = file.extractfile(member)
    assert source is not None
    return source


def _link(archive: Path, name: str) -> str:
    return f"{archive}: member {name!r} is a link or a device; unpack it yourself and give the folder"
