"""A real `mlflow server`, and a proxy before it that does to each call what a bad network or a bad server would."""

import http.client
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

MLFLOW = Path(sys.executable).with_name("mlflow")
_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
# Root writes to what is read-only, unless it goes without that right.
_OBEYING = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")


class Server:
    """A server over the sqlite file `folder/mlflow.db`; it can be stopped, killed and started again on its port."""

    def __init__(self, folder: Path, obeying: bool = False) -> None:
        self.folder, self.database = folder, folder / "mlflow.db"
        self._prefix = _OBEYING if obeying and os.geteuid() == 0 else ()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 400) -> Self:
        """Start it and wait until it answers."""
        store = f"sqlite:///{self.database}"
        command = [*self._prefix, str(MLFLOW), "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", store, "--artifacts-destination", str(self.folder / "a")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | _ENVIRONMENT, start_new_session=True
            )
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
            except OSError:
                time.sleep(0.1)
            else:
                return self
        self.end()
        raise TimeoutError(f"no server after {seconds} s: {(self.folder / 'server.log').read_text()[-2000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def end(self) -> None:
        """kill -9, even of one that was stopped."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it may have ended by itself
                self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def rows(self, key: str) -> list[tuple[str, int, float]]:
        """(name, step, value) of every row of metrics, in all runs that carry the key, read past the server."""
        ask = """
            SELECT metrics.key, step, metrics.value FROM metrics JOIN tags USING (run_uuid)
            WHERE tags.key = 'pix2pipe.key' AND tags.value = ?
        """
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as database:
            return database.execute(ask, (key,)).fetchall()

    def runs(self, key: str) -> int:
        """How many runs count for a key."""
        ask = """
            SELECT count(*) FROM tags a JOIN tags b USING (run_uuid)
            WHERE a.key = 'pix2pipe.key' AND a.value = ? AND b.key = 'pix2pipe.superseded' AND b.value = 'no'
        """
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)) as database:
            return int(database.execute(ask, (key,)).fetchone()[0])


def can_obey() -> bool:
    """Whether a server of this user can be kept from writing."""
    return os.geteuid() != 0 or shutil.which(_OBEYING[0]) is not None


class Proxy:
    """Hands calls on to a server, each after asking `fault` (of its method and path) what shall happen to it.

    `refused`: closed, unread by the server. `lost`: done, but the answer is not given. `late`: the caller hears
    nothing; done when `release` is called. `half`: the answer breaks off. `page`: a 503 of somebody else.
    `slow`: done and answered after half a second. Anything else: as it should be.
    """

    def __init__(self, server: Server) -> None:
        self.fault: Callable[[str, str], str] = lambda method, path: ""
        self.port = server.port
        self._released = threading.Event()
        self._late: list[threading.Thread] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = proxy.fault(self.command, self.path)
                headers = dict(self.headers.items())
                if fault in ("refused", "late"):
                    if fault == "late":
                        proxy._hold(self.command, self.path, body, headers)
                    self.close_connection = True
                    return
                if fault == "page":
                    self._write(503, b"<html>Bad gateway</html>", "text/html")
                    return
                status, kind, answer = proxy.ask(self.command, self.path, body, headers)
                if fault == "slow":
                    time.sleep(0.5)
                self._write(status, answer, kind, cut={"lost": 0, "half": len(answer) // 2}.get(fault))

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 (the names of http.server)

            def _write(self, status: int, answer: bytes, kind: str, cut: int | None = None) -> None:
                if cut != 0:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer[:cut])
                self.close_connection = cut is not None

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        class Listener(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A caller that has gone."""

        self._listener = Listener(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._listener.server_address[1]}"
        threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Call the server."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()

    def _hold(self, *call: Any) -> None:
        def do() -> None:
            self._released.wait()
            self.ask(*call)

        self._late.append(threading.Thread(target=do, daemon=True))
        self._late[-1].start()

    def release(self) -> int:
        """Do the late calls now, all at once; gives how many they were."""
        self._released.set()
        for thread in self._late:
            thread.join()
        count = len(self._late)
        self._late, self._released = [], threading.Event()
        return count

    def end(self) -> None:
        """Listen no longer."""
        self._listener.shutdown()
        self._listener.server_close()
