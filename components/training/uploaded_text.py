"""UploadedText: a text that grows, kept whole as one object of a store that cannot append."""

import tempfile
import threading
import time
from contextlib import suppress

from upath import UPath

from components.faults import Fault
from components.storage import remote
from components.storage.files import faults_of_the_disk

_UPLOAD_S = 5.0  # between two uploads
_UPLOAD_SHARE = 0.05  # of the time, at most: a long text is uploaded less often


class UploadedText:
    """Lines kept in a local file, and uploaded as one object from a thread.

    Args:
        path: of the object.
        text: what it begins with.

    Raises:
        Fault: the store refuses, or stays away.
    """

    def __init__(self, path: UPath, text: str) -> None:
        self._path = path
        self._file = tempfile.TemporaryFile("w+b", prefix="pix2pipe-")  # noqa: SIM115 (closed with the text)
        self._file.write(text.encode())
        self._uploaded = 0  # bytes of it that are there
        if not text:
            remote.remove(path)
        self._writing, self._uploading = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self.flush()
        self._thread.start()

    def append(self, line: str) -> None:
        """Add a line; it is uploaded soon."""
        with self._writing, faults_of_the_disk(self._path):
            self._file.write(line.encode())

    def flush(self) -> None:
        """Upload now, unless all of it is there.

        Raises:
            Fault: the store refuses, or stays away.
        """
        with self._uploading:
            with self._writing, faults_of_the_disk(self._path):
                self._file.seek(0)
                data = self._file.read()
            if len(data) != self._uploaded:
                remote.write(self._path, data)
                self._uploaded = len(data)

    def close(self) -> None:
        """Upload what is left, if that can be done, and let the local file go."""
        self._stop.set()
        self._thread.join()
        with suppress(Fault):  # what the run ends with, or of, is worth more than its last lines
            self.flush()
        self._file.close()

    def _run(self) -> None:
        pause = _UPLOAD_S
        while not self._stop.wait(pause):
            began = time.perf_counter()
            try:
                self.flush()
            except Fault:
                continue  # the flush before the next checkpoint says it, if it lasts
            pause = max(_UPLOAD_S, (time.perf_counter() - began) / _UPLOAD_SHARE)
