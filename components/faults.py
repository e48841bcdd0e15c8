"""The one error that speaks to a person, and what this machine refuses said as such."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OF_THE_MACHINE = {
    errno.ENOSPC: ("no space left on this disk", "free some"),
    errno.EDQUOT: ("no space left on this disk", "free some"),
    errno.EROFS: ("cannot be written", "work in a folder that can be written to"),
    errno.EACCES: ("", "see whose it is and what you may do there"),
    errno.EPERM: ("", "see whose it is and what you may do there"),
    errno.EMFILE: ("", "allow more open files (ulimit -n)"),
    errno.ENFILE: ("", "allow more open files (ulimit -n)"),
    errno.EFBIG: ("", "allow larger files (ulimit -f), or use a disk that takes them"),
    errno.ENOMEM: ("", "free some memory"),
    errno.EIO: ("", "see that the disk is sound"),
    errno.ESTALE: ("", "see that the shared disk is mounted"),
    errno.ENAMETOOLONG: ("", "use shorter names"),
    errno.ELOOP: ("", "see where its links lead"),
    errno.ENXIO: ("", "remove what stands in the file's place"),
    errno.ENOTDIR: ("", "remove the file that stands in a folder's place"),
    errno.EEXIST: ("", "remove the file that stands in a folder's place"),
    errno.EISDIR: ("", "remove the folder that stands in a file's place"),
}


class Fault(Exception):  # noqa: N818 (a fault of the world outside, not an error of the code)
    """Something outside the code is wrong: a param, a file, a sample, a server.

    The message is one line: it names what is at fault and says what to do. A stage prints it without a
    traceback and exits 1; anything else that escapes a stage is a bug and keeps its traceback. Characters that cannot
    be printed, which file names may contain (line feeds, bytes that are not text), are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message))


def refused(error: OSError, place: object = None) -> Fault | None:
    """What this machine refused, in one line; None for an error that is rather a mistake of the code.

    Args:
        place: what to name; by default the file that the error names.
    """
    if error.errno not in _OF_THE_MACHINE:
        return None
    place = place or error.filename or "a file that was being read or written"
    place = place.decode("utf-8", "backslashreplace") if isinstance(place, bytes) else place
    what, advice = _OF_THE_MACHINE[error.errno]
    return Fault(f"{place}: {what or os.strerror(error.errno)}; {advice} and run again")


@contextmanager
def faults_of_the_machine() -> Iterator[None]:
    """Put around a whole command: report in one line what this machine refused, if nothing else has.

    Text that the terminal's own encoding lacks is printed as `\\u2013` rather than refused.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    except OSError as error:
        if (fault := refused(error)) is None:
            raise
        raise fault from error
