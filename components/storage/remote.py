"""Objects of a remote root: read, and written such that they appear complete or not at all."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from upath import UPath
from upath.implementations.cloud import CloudPath

from components.faults import Fault
from components.storage.scratch import scratch

_T = TypeVar("_T")
# s3fs and botocore try a request again by themselves (503, 5xx, a cut body, no answer in 15 s), for 2 to 40 seconds.
# These are the pauses before the whole is tried again, so that a store may be away for half a minute.
_PAUSES_S = (4.0, 16.0)
_FINAL = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EACCES)
_BUGS = (TypeError, AttributeError, NameError, AssertionError)


def read(path: UPath, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes of an object from `start` up to `stop`, fewer where it ends before, in one request.

    Raises:
        FileNotFoundError: there is no such object.
        Fault: the store refuses, or stays away.
    """
    # Asked for as a range, since s3fs would ask for the size of a whole object first.
    data: bytes = _patiently(path, lambda: path.fs.cat_file(path.path, start=start, end=stop))
    return data


def write(path: UPath, data: bytes) -> None:
    """Put an object, replacing the one that is there.

    Raises:
        Fault: the store refuses, or stays away.
    """
    _patiently(path, lambda: _with_folder(path, lambda: path.fs.pipe_file(path.path, data)))


def upload(local: Path, path: UPath) -> None:
    """Put a file's bytes as an object: one PUT below 100 MB, an upload in parts above; visible when complete.

    Raises:
        Fault: the store refuses, or stays away.
    """
    _patiently(path, lambda: _with_folder(path, lambda: path.fs.put_file(str(local), path.path)))


@contextmanager
def uploaded(path: UPath) -> Iterator[Path]:
    """A temporary local file to write to; uploaded when the block ends well."""
    with scratch() as folder:
        local = Path(folder) / path.name
        yield local
        upload(local, path)


def size(path: UPath) -> int | None:
    """An object's size in bytes; None if it is not there."""
    try:
        info = _patiently(path, lambda: path.fs.info(path.path))
    except FileNotFoundError:
        return None
    return int(info["size"]) if info["type"] == "file" else None


def sizes(folder: UPath) -> dict[str, int]:
    """The objects below a folder, by their names relative to it, with their sizes; one request a thousand."""
    try:
        found = _patiently(folder, lambda: folder.fs.find(folder.path, detail=True))
    except FileNotFoundError:
        return {}
    root = folder.path.rstrip("/") + "/"
    return {name.removeprefix(root): int(info["size"]) for name, info in found.items() if name.startswith(root)}


def remove(path: UPath) -> None:
    """Delete an object, if there is one."""

    def delete() -> None:
        try:
            path.fs.rm_file(path.path)
        except FileNotFoundError:
            return

    _patiently(path, delete)


def reason(error: BaseException) -> str:
    """What an error says, in one line."""
    text = getattr(error, "strerror", None) or str(error)
    return (text.strip() or type(error).__name__).splitlines()[0]


def _with_folder(path: UPath, put: Callable[[], object]) -> None:
    if not isinstance(path, CloudPath):  # in an object store a folder is nothing but a part of names
        path.fs.makedirs(path.parent.path, exist_ok=True)
    put()


def _patiently(path: UPath, action: Callable[[], _T]) -> _T:
    """Do it, and repeat it after a pause if the error may be temporary; report a lasting error in one line."""
    for pause in (*_PAUSES_S, None):
        try:
            return action()
        except FileNotFoundError:
            raise
        except _BUGS:
            raise
        except Exception as error:  # every file system has errors of its own
            if pause is None or isinstance(error, PermissionError) or getattr(error, "errno", None) in _FINAL:
                raise Fault(f"{path}: {reason(error)}; see that the store answers and run again") from error
        time.sleep(pause)
    raise AssertionError("unreachable")
