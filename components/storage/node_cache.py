"""The node's cache: remote files that its processes read, each fetched and verified once, within a bound."""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from upath import UPath

from components.faults import Fault
from components.storage import remote
from components.storage.files import faults_of_the_disk
from components.storage.scratch import scratch

FOLDER, BOUND = "PIX2PIPE_CACHE", "PIX2PIPE_CACHE_GB"
_DEFAULT_FOLDER, _DEFAULT_GB = "~/.cache/pix2pipe/shards", 20.0
_RANGE = 16 << 20  # bytes of one request: at most so many are lost when a connection is cut
_PARTIAL = ".partial"


class Damaged(Fault):
    """A remote file is missing or its bytes have changed; asking again will not help."""


def local_copy(location: UPath, sha256: str, size: int) -> Path:
    """A remote file's copy on this node, fetched and verified unless it is there already.

    The copy is named by its sha256. Processes that want the same file wait for the one that fetches it; if that one
    dies, the next takes over. To stay within the bound, the copies that were not used for longest are removed first. A
    removed copy stays readable for processes that have it open. So open the returned file at once, and ask again if it
    has just been removed (`open_copy` does both).

    Args:
        location: of the object.
        sha256: of all its bytes, 64 hex digits.
        size: in bytes.

    Raises:
        Damaged: the object is missing or has other bytes.
        Fault: it is bigger than the bound, or cannot be fetched.
    """
    folder, bound = Path(os.environ.get(FOLDER) or _DEFAULT_FOLDER).expanduser(), _bound()
    kept, partial = folder / sha256, folder / f"{sha256}{_PARTIAL}"
    if size > bound:
        raise Fault(f"{location}: has {size:,} bytes, more than the cache of this node may hold; raise {BOUND}")
    with faults_of_the_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        while not _hit(kept, size):
            with _claimed(partial) as file:
                # Whoever fetched it while this process waited has renamed it.
                if file is not None and not _hit(kept, size):
                    _make_room(folder, file, size, bound)
                    _fetch(location, sha256, size, file)
                    partial.rename(kept)
    return kept


def open_copy(location: UPath, sha256: str, size: int) -> int:
    """A file descriptor of `local_copy`, which stays readable when the copy must make room for others."""
    while True:
        with suppress(FileNotFoundError):
            return os.open(local_copy(location, sha256, size), os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def fresh_cache() -> Iterator[None]:
    """Inside the block this process has a cache of its own, empty at first and gone afterwards."""
    before = os.environ.get(FOLDER, "")
    with scratch() as folder:
        os.environ[FOLDER] = str(folder)
        try:
            yield
        finally:
            os.environ[FOLDER] = before


def _bound() -> int:
    """Bytes that the cache may hold."""
    text = os.environ.get(BOUND) or str(_DEFAULT_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not gigabytes > 0:
        raise Fault(f"{BOUND}={text}: not a number of gigabytes above 0")
    return int(gigabytes * 1e9)


def _hit(kept: Path, size: int) -> bool:
    """Whether the copy is there; if so it counts as used now."""
    try:
        if kept.stat().st_size != size:
            return False
        os.utime(kept)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _claimed(partial: Path) -> Iterator[int | None]:
    """Hold the file that a copy is fetched to, alone; None if it has gone when it is this process's turn.

    The lock is the kernel's and ends with its holder, so nobody waits for a dead one.
    """
    file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        mine = _is(partial, file)
        if mine:
            os.ftruncate(file, 0)  # what a dead process left
        yield file if mine else None
    finally:
        if _is(partial, file):  # not renamed: the fetch failed
            partial.unlink()
        os.close(file)


def _is(path: Path, file: int) -> bool:
    """Whether a path still names an open file."""
    try:
        return path.stat().st_ino == os.fstat(file).st_ino
    except FileNotFoundError:
        return False


def _make_room(folder: Path, file: int, size: int, bound: int) -> None:
    """Reserve `size` bytes within the bound, by removing what was not used for longest; waits for other fetches."""
    while True:
        with (folder / ".lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            copies = _by_use(folder)
            total = size + sum(length for _, length in copies)
            for path, length in copies:
                if total <= bound:
                    break
                if path.suffix == _PARTIAL and not _drop_dead(path):
                    continue
                path.unlink(missing_ok=True)
                total -= length
            if total <= bound:
                return os.ftruncate(file, size)
        time.sleep(0.1)


def _by_use(folder: Path) -> list[tuple[Path, int]]:
    """The copies and their bytes: first those being fetched, then the whole, that not used for longest first."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # a fetch that has just ended
            status = path.stat()
            if not path.name.startswith("."):
                found.append((path.suffix != _PARTIAL, status.st_mtime_ns, path, status.st_size))
    return [(path, size) for _, _, path, size in sorted(found)]


def _drop_dead(partial: Path) -> bool:
    """Remove what a dead process has begun; whether it was such."""
    try:
        file = os.open(partial, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if dead := _is(partial, file):
            partial.unlink()
        return dead
    except BlockingIOError:
        return False
    finally:
        os.close(file)


def _fetch(location: UPath, sha256: str, size: int, file: int) -> None:
    """Write the object to an open file, hashing as it comes.

    Raises:
        Damaged: the object is not what the manifest says.
    """
    remedy = "remove it, then run the stage that wrote it again"
    digest, done = hashlib.sha256(), 0
    while done < size:
        stop = min(done + _RANGE, size)
        try:
            data = remote.read(location, done, stop)
        except FileNotFoundError:
            raise Damaged(f"{location}: not found, though a manifest names it; run the stage that writes it") from None
        if done + len(data) != stop:
            raise Damaged(f"{location}: has bytes 0-{done + len(data)}, the manifest says 0-{size}; {remedy}")
        digest.update(data)
        os.pwrite(file, data, done)
        done = stop
    if digest.hexdigest() != sha256:
        raise Damaged(f"{location}: bytes 0-{size} do not have the sha256 of the manifest ({sha256[:12]}); {remedy}")
    os.fsync(file)
