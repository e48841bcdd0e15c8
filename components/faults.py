"""The one error that speaks to a person, and what this machine refuses said as such."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OF_THE_MACHINE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "work in a folder that can be written to",
    errno.EACCES: "see whose it is and what you may do there",
    errno.EPERM: "see whose it is and what you may do there",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "allow more open files (ulimit -n)",
    errno.ENOMEM: "free some memory",
    errno.EIO: "see that the disk is sound",
    errno.ENAMETOOLONG: "use shorter names",
    errno.ELOOP: "see where its links lead",
    errno.ENOTDIR: "remove the file that stands in a folder's place",
    errno.EISDIR: "remove the folder that stands in a file's place",
}


class Fault(Exception):  # noqa: N818 (a fault of the world outside, not an error of the code)
    """Something outside the code is wrong: a param, a file, a sample, a server.

    The message is one line: it names what is at fault and says what to do. A stage prints it without a
    traceback and exits 1; anything else that escapes a stage is a bug and keeps its traceback. Characters that cannot
    be printed, which file names may contain (line feeds, bytes that are not text), are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message))


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
        if error.errno not in _OF_THE_MACHINE:
            raise
        place = error.filename or "a file that was being read or written"
        raise Fault(f"{place}: {os.strerror(error.errno)}; {_OF_THE_MACHINE[error.errno]}, then run again") from error
