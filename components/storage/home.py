"""Home: the place of everything that must outlive one machine, by the environment variable PIX2PIPE_ROOT."""

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from upath import UPath

from components.faults import Fault
from components.storage.remote import reason

ROOT = "PIX2PIPE_ROOT"
_EXPERIMENTS = (".dvc", "tmp", "exps")


def _home(here: Path) -> Path:
    """.pix2pipe below the working folder; in the temporary work tree of a DVC experiment, that of the project itself.

    `dvc exp run --temp` and `--queue` work below .dvc/tmp/exps of the project and delete all that they leave there.
    """
    for folder in here.parents:
        if folder.parts[-3:] == _EXPERIMENTS:
            return folder.parents[2] / ".pix2pipe"
    return Path(".pix2pipe")


LOCAL = _home(Path.cwd())
"""Where registry, runs, searches and caches lie; what belongs to one work tree alone is below its own .pix2pipe."""
AnyPath: TypeAlias = Path | UPath
"""A path of this machine is a plain `pathlib.Path`; one of an object store is a `UPath`, and so no `Path`."""

_ANSWER_SECONDS = 15.0
_PROBE = ".pix2pipe"


def shared() -> AnyPath:
    """The root of shards/, runs/, generated/ and mlartifacts/: PIX2PIPE_ROOT, or .pix2pipe where it is unset.

    Raises:
        Fault: the root cannot be used (unknown kind, no such bucket, no credentials, nobody answers); said at
            the first use in a process, within seconds.
    """
    value = os.environ.get(ROOT, "")
    return _opened(value) if value else LOCAL


def absolute(path: AnyPath) -> AnyPath:
    """The same place for a process with another working folder."""
    return path.absolute() if isinstance(path, Path) else path


@lru_cache
def located(address: str) -> AnyPath:
    """A path from its text: an absolute path or file:// is of this machine, all else is fsspec's.

    Raises:
        Fault: nothing installed reads such an address.
    """
    if "://" not in address:
        return Path(address).expanduser().absolute()
    if address.startswith("file://"):
        return Path(address.removeprefix("file://")).absolute()
    try:
        # What other processes write must be seen, so listings are never cached.
        path = UPath(address.rstrip("/"), use_listings_cache=False)
        path.fs  # noqa: B018 (imports the library that reads such addresses)
    except ImportError as error:
        extra = 'pip install "pix2pipe[s3]"' if address.startswith("s3") else "install the library named"
        raise Fault(f"{address}: {reason(error)}; {extra}") from error
    except ValueError as error:
        raise Fault(
            f"{address}: {reason(error)}; give a folder, s3://bucket/prefix or another fsspec address"
        ) from error
    return path


@lru_cache
def _opened(value: str) -> AnyPath:
    try:
        root = located(value)
    except Fault as fault:
        raise Fault(f"{ROOT}={fault}") from fault
    try:
        if isinstance(root, Path):
            root.mkdir(parents=True, exist_ok=True)
        else:
            _probe(root)
    except FileNotFoundError as error:
        raise Fault(f"{ROOT}={value}: there is no such bucket; create it, or set {ROOT} to one that exists") from error
    except Exception as error:  # every file system has errors of its own
        advice = "see the credentials and the endpoint (AWS_*)" if value.startswith("s3") else "see that it can be used"
        raise Fault(f"{ROOT}={value}: {reason(error)}; {advice}") from error
    return root


def _probe(root: UPath) -> None:
    """Write an empty object: this alone tests the connection, the credentials and the bucket at once."""
    errors: list[BaseException] = []

    def write() -> None:
        try:
            root.fs.pipe_file((root / _PROBE).path, b"")
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=write, name="probe", daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {_ANSWER_SECONDS:.0f} s")
    if errors:
        raise errors[0]
