"""Pictures from a .zip or .tar archive that may be broken or malicious."""

import errno
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, TypeVar

from tqdm import tqdm

from components.faults import Fault

MAX_MEMBERS = 2_000_000
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_CHUNK = 1 << 20
_MAX_HEADER = 1 << 20  # bytes of names and the like of one member of a tar, which are read as one
_MAX_CLOSING = 1 << 26  # bytes of zeros at the end of a tar
_SPARSE = "a sparse member, which is not read"
# What reading an archive raises besides OSError: a decompressor's own come without a number.
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError, NotImplementedError)
_LONG_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
Item = TypeVar("Item")


class _Member(NamedTuple):
    """Its name; the bytes it takes to pass it over; and, unless it is a folder, how to open it."""

    name: str
    passed: int
    open: Callable[[], IO[bytes]] | None


def is_archive(path: Path) -> bool:
    """Whether the name is one of an archive that can be unpacked."""
    return path.name.lower().endswith(SUFFIXES)


def unpack(
    archive: Path, target: Path, extensions: frozenset[str], max_bytes: int, passed: Callable[[str], object] = str
) -> None:
    """Write the members with one of the extensions below `target`; others are left out.

    Args:
        passed: called with the name of each file that is left out; it may refuse one.

    Raises:
        Fault: a broken or truncated archive, a member that is a link or would land outside `target` or twice
            in one place, or more than `max_bytes` or 2,000,000 members.
    """
    left = max_bytes
    members = _zip(archive) if archive.name.lower().endswith(".zip") else _tar(archive)
    with tqdm(unit="file", desc=f"unpack {archive.name}") as bar:
        for count, member in enumerate(whole(archive, members)):
            if count >= MAX_MEMBERS:
                raise Fault(f"{archive}: more than {MAX_MEMBERS:,} members")
            path = target / _inside(archive, member.name)
            if member.open is None or path.suffix.lower() not in extensions or path.name.startswith("."):
                if member.open is not None:
                    passed(member.name)
                left = _less(archive, member.name, left, member.passed)
                continue
            left = write_member(archive, member.name, member.open, path, left)
            bar.update()


def tar_members(archive: Path, max_bytes: int, most: int) -> Iterator[str]:
    """The names of the files in a tar, which is walked to its end; nothing is written.

    Args:
        max_bytes: that all of it may hold. most: that one member may.

    Raises:
        Fault: as of `unpack`.
    """
    left = max_bytes
    for count, member in enumerate(whole(archive, _tar(archive))):
        if count >= MAX_MEMBERS:
            raise Fault(f"{archive}: more than {MAX_MEMBERS:,} members")
        _inside(archive, member.name)
        left = _less(archive, member.name, left, member.passed)
        if member.passed > most:
            raise Fault(f"{archive}: member {member.name!r} has {member.passed:,} bytes, more than {most:,}; remove it")
        if member.open is not None:
            yield member.name


def write_member(archive: Path, name: str, opened: Callable[[], IO[bytes]], path: Path, left: int) -> int:
    """Write one member; how many bytes may still follow, of `left`.

    Raises:
        Fault: another is there already, or the name is too long, or there are more bytes than may follow.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for chunk in whole(archive, _chunks(opened)):
                left = _less(archive, name, left, len(chunk))
                file.write(chunk)
    except (FileExistsError, NotADirectoryError) as error:
        raise Fault(f"{archive}: two members would be the same file ({name!r})") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise Fault(
            f"{archive}: member {name!r} has a name that is too long for this disk; unpack it yourself, under a "
            "shorter one, and give the folder"
        ) from error
    return left


def _chunks(opened: Callable[[], IO[bytes]]) -> Iterator[bytes]:
    with opened() as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def whole(archive: Path, items: Iterator[Item]) -> Iterator[Item]:
    """What is read from an archive, as long as it can be read.

    Raises:
        Fault: it is broken.
    """
    try:
        yield from items
    except (OSError, *_BROKEN) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise Fault(f"{archive}: broken or truncated archive ({said}); fetch it again") from error


def _less(archive: Path, name: str, left: int, taken: int) -> int:
    if taken > left:
        raise Fault(
            f"{archive}: unpacks to more than fetch.max_gigabytes at {name!r}; raise it if the archive is meant to be "
            "so large"
        )
    return left - taken


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
            # Of the others Python unpacks all that it reads at once, whatever comes out.
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Fault(
                    f"{archive}: member {info.filename!r} is not compressed with deflate; pack the archive again with "
                    "it"
                )
            yield _Member(info.filename, 0, None if info.is_dir() else partial(file.open, info))


def _tar(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive, tarinfo=_BoundedInfo) as file:
        for member in file:
            if not (member.isfile() or member.isdir()):
                raise Fault(_link(archive, member.name))
            yield _Member(member.name, member.size, partial(_extract, file, member) if member.isfile() else None)
            file.members = []  # type: ignore[attr-defined]  # or it would remember them all
        # tarfile takes a cut between two members, or a broken header, for the end. A whole archive closes with
        # two empty blocks and nothing after them; reading on also makes the compressor check its sum.
        assert file.fileobj is not None
        closing = file.fileobj.tell() - file.offset
        while chunk := file.fileobj.read(_CHUNK):
            if chunk.count(0) < len(chunk):
                raise tarfile.ReadError(f"no member header at byte {file.offset}")
            closing += len(chunk)
            if closing > _MAX_CLOSING:
                raise tarfile.ReadError(f"more than {_MAX_CLOSING:,} bytes of zeros at its end")
        if closing < 2 * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("its end is missing")


class _BoundedInfo(tarfile.TarInfo):
    """A member whose headers cannot take more memory than a name needs; tarfile calls these as it reads them."""

    def _proc_member(self, file: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _LONG_HEADERS and self.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(_SPARSE)
        member: tarfile.TarInfo = super()._proc_member(file)  # type: ignore[misc]
        return member

    def _proc_gnusparse_10(self, *_: Any) -> None:
        raise tarfile.ReadError(_SPARSE)


def _extract(file: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = file.extractfile(member)
    assert source is not None
    return source


def _link(archive: Path, name: str) -> str:
    return f"{archive}: member {name!r} is a link or a device; unpack it yourself and give the folder"
