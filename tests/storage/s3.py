"""A real S3 API on loopback, and a proxy before it that fails as networks do."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import fsspec

from components.storage.home import located
from tests.conftest import collect_unclosed

BUCKET = "pictures"
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


def forget_clients() -> None:
    """Let go of the clients that fsspec keeps: they know the endpoint of the environment they were made in."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    located.cache_clear()
    collect_unclosed()  # their connections: now, and not in somebody else's test


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def moto_server() -> Iterator[int]:
    """moto's server as a process of its own; gives its port."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.time() + 60
        while True:
            assert process.poll() is None
            assert time.time() < deadline
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


class Request(NamedTuple):
    """What was asked: the method, the path without the bucket, and the Range header or an empty string."""

    method: str
    path: str
    range: str


@dataclass
class Trouble:
    """What goes wrong with the next `times` requests of a method for a path that ends as said.

    Either all of them are answered with a `status`, or the connection is cut after `after` bytes of the
    body (of the answer of a GET, of what is sent with a PUT), or they are answered `delay` seconds late.
    """

    method: str
    ending: str
    times: int
    status: int | None = None
    after: int | None = None
    delay: float = 0.0


@dataclass
class Proxy:
    """Passes requests on to the server and remembers them; troubles are put before it."""

    upstream: int
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str, ending: str = "") -> list[Request]:
        """The requests of a method for paths that end as said."""
        return [r for r in self.requests if r.method == method and r.path.partition("?")[0].endswith(ending)]

    def trouble(self, method: str, ending: str, times: int = 1, **what: Any) -> None:
        self.troubles.append(Trouble(method, ending, times, **what))

    def clear(self) -> None:
        with self.lock:
            self.requests.clear()
            self.troubles.clear()

    def meets(self, request: Request) -> Trouble | None:
        """Note a request; the trouble that it meets, if any."""
        with self.lock:
            self.requests.append(request)
            for trouble in self.troubles:
                path = request.path.partition("?")[0]
                if trouble.times and trouble.method == request.method and path.endswith(trouble.ending):
                    trouble.times -= 1
                    return trouble
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *_: Any) -> None: ...

    def _serve(self) -> None:
        path = self.path.removeprefix(f"/{BUCKET}").lstrip("/")
        trouble = self.proxy.meets(Request(self.command, path, self.headers.get("Range", "")))
        length = int(self.headers.get("Content-Length", 0))
        if trouble and trouble.delay:
            time.sleep(trouble.delay)
        if trouble and trouble.after is not None and self.command == "PUT":
            self.rfile.read(min(length, trouble.after))
            self._hang_up()
            return
        body = self.rfile.read(length)
        if trouble and trouble.status:
            self._answer(trouble.status, {"Content-Type": "application/xml"}, SLOW_DOWN)
            return
        with closing(http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=60)) as connection:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            data = answer.read()
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding")}
        if self.command != "HEAD":
            headers["Content-Length"] = str(len(data))
        cut = trouble.after if trouble else None
        self._answer(answer.status, headers, data, cut)

    def _answer(self, status: int, headers: dict[str, str], data: bytes, cut: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[:cut])
        if cut is not None:
            self.wfile.flush()
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 (the names http.server looks for)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no error of the proxy's."""


@contextmanager
def proxied(upstream: int) -> Iterator[Proxy]:
    """A proxy before the server at a port of loopback."""
    proxy = Proxy(upstream)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = _Server(("127.0.0.1", 0), handler)
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def credentials() -> dict[str, str]:
    """An environment in which a client signs with keys that mean nothing and asks no metadata service."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
