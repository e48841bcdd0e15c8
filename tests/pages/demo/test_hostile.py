"""Requests that mean harm: none brings the server down, none is answered by an error of its own, memory stays flat."""

import http.client
import io
import json
import re
import socket
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.conftest import tiny_sample
from tests.pages.demo.conftest import Registry, command
from tests.sources.test_pictures import huge_png

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),
]
SOURCE = tiny_sample(5)["labels"]
GROWTH = 40_000_000  # bytes that the process may have grown by at the end


def head(line: str, *more: str, host: str = "localhost", kind: str = "application/octet-stream") -> bytes:
    return "\r\n".join([line, f"Host: {host}", f"Content-Type: {kind}", "Connection: close", *more, "", ""]).encode(
        "latin-1"
    )


def post(path: str, body: bytes, *more: str, kind: str = "application/octet-stream") -> bytes:
    return head(f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", *more, kind=kind) + body


def pictures() -> list[bytes]:
    photo, made = tiny_sample(0)["photo"], []
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        file = io.BytesIO()
        Image.fromarray(photo).save(file, kind)
        made.append(file.getvalue())
    return made


TRANSLATE, UPLOAD = "/translate/labels_to_photo", "/upload/labels_to_photo"
FILES = pictures()


def mutant(random: np.random.Generator) -> bytes:
    data = bytearray(FILES[random.integers(len(FILES))])
    for place in random.integers(0, len(data), random.integers(1, 12)):
        data[place] = random.integers(256)
    return bytes(data[: random.integers(1, len(data) + 1)] if random.random() < 0.3 else data)


def chunked(path: str, chunk: bytes, times: int) -> bytes:
    return head(f"POST {path} HTTP/1.1", "Transfer-Encoding: chunked") + (b"%x\r\n%b\r\n" % (len(chunk), chunk)) * times


# What is sent, and whether the sender waits for an answer (or goes away at once).
KINDS: dict[str, Callable[[np.random.Generator], tuple[bytes, bool]]] = {
    "a mutant of a picture": lambda r: (post(UPLOAD, mutant(r)), True),
    "bytes that are no picture": lambda r: (post(UPLOAD, r.bytes(int(r.integers(0, 5000)))), True),
    "a bomb": lambda r: (post(UPLOAD, huge_png(int(r.integers(5001, 60000)), 60000)), True),
    "a body that is cut off": lambda r: (post(TRANSLATE, bytes(1024))[: -int(r.integers(1, 1024))], False),
    "an upload that is cut off": lambda r: (
        head(f"POST {UPLOAD} HTTP/1.1", "Content-Length: 9000000") + bytes(9999),
        False,
    ),
    "a long body": lambda r: (head(f"POST {UPLOAD} HTTP/1.1", f"Content-Length: {10 ** int(r.integers(8, 30))}"), True),
    "a long body in chunks": lambda r: (chunked(TRANSLATE, bytes(700), 20), True),
    "chunks of no size": lambda r: (
        head(f"POST {TRANSLATE} HTTP/1.1", "Transfer-Encoding: chunked") + b"zz\r\n\r\n",
        True,
    ),
    "values outside the classes": lambda r: (post(TRANSLATE, bytes([int(r.integers(4, 256))]) * 1024), True),
    "a source of another size": lambda r: (post(TRANSLATE, bytes(int(r.integers(0, 1024)))), True),
    "JSON": lambda r: (post(TRANSLATE, b'{"pictures": [[' * 60, kind="application/json"), True),
    "a form": lambda r: (post(UPLOAD, b"--x\r\n" * 99, kind="multipart/form-data; boundary=x"), True),
    "huge headers": lambda r: (head("GET / HTTP/1.1", "X-Much: " + "a" * int(r.integers(70_000, 200_000))), True),
    "many headers": lambda r: (head("GET / HTTP/1.1", *(f"X-{i}: {i}" for i in range(9000))), True),
    "another method": lambda r: (
        head(f"{r.choice(['PUT', 'DELETE', 'TRACE', 'PATCH', 'BREW'])} {TRANSLATE} HTTP/1.1"),
        True,
    ),
    "CONNECT": lambda r: (head("CONNECT evil.example:443 HTTP/1.1"), True),
    "a way out of the folder": lambda r: (
        head(
            f"GET /assets/{r.choice(['../', '..%2f', '%2e%2e/', '..%5c', '/', '%00', '....//'])}"
            f"{'../' * int(r.integers(1, 9))}etc/passwd HTTP/1.1"
        ),
        True,
    ),
    "a direction that is none": lambda r: (
        post(f"/translate/{r.choice(['..', '%00', 'a' * 9000, '%ff%fe', '*'])}", b""),
        True,
    ),
    "another name": lambda r: (
        head("GET / HTTP/1.1", host=str(r.choice(["evil.example", "[", "a b", "", "\xe9", "::1"]))),
        True,
    ),
    "another page": lambda r: (post(TRANSLATE, bytes(1024), "Origin: http://evil.example"), True),
    "two lengths": lambda r: (head(f"POST {TRANSLATE} HTTP/1.1", "Content-Length: 1", "Content-Length: 1024"), True),
    "a length that is no number": lambda r: (
        head(f"POST {TRANSLATE} HTTP/1.1", f"Content-Length: {r.choice(['-1', 'x', '0x9'])}"),
        True,
    ),
    "an upgrade": lambda r: (
        head("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"),
        True,
    ),
    "not HTTP": lambda r: (r.bytes(int(r.integers(1, 3000))) + b"\r\n\r\n", True),
    "no end of the head": lambda r: (head("GET / HTTP/1.1")[:-4], False),
}


def send(place: tuple[str, int], data: bytes, waits: bool) -> bytes:
    """Send, and take what comes back before the other side ends; nothing if it was cut short."""
    with socket.create_connection(place, timeout=60) as connection:
        got = b""
        with suppress(ConnectionError):
            connection.sendall(data)
            if waits:
                while part := connection.recv(65536):
                    got += part
        return got


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def translated(place: tuple[str, int]) -> np.ndarray:
    """What the page itself would ask; the answer's picture."""
    connection = http.client.HTTPConnection(*place, timeout=120)
    connection.request("POST", TRANSLATE, SOURCE.tobytes(), {"content-type": "application/octet-stream"})
    answer = connection.getresponse()
    assert answer.status == 200
    made = np.frombuffer(b64decode(json.load(answer)["pictures"][0]), np.uint8)
    connection.close()
    return made


@pytest.fixture
def server(registry: Registry) -> Iterator[tuple[int, tuple[str, int]]]:
    with command(registry.root, "--version", "1") as (pid, address, _):
        parts = urlsplit(address)
        yield pid, (parts.hostname or "", parts.port or 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("count", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_it_goes_on_serving_in_the_same_memory(server: tuple[int, tuple[str, int]], count: int) -> None:
    (pid, place), random = server, np.random.default_rng(count)
    before, kinds = translated(place), list(KINDS.items())
    slow = [socket.create_connection(place, timeout=60) for _ in range(20)]  # heads and bodies that never come
    for i, connection in enumerate(slow):
        data = post(UPLOAD, bytes(3000))
        connection.sendall(data[:60] if i % 2 else data[:-1])
    statuses: dict[str, set[str]] = {}
    start = 0
    for i in range(count):
        name, make = kinds[i % len(kinds)]
        got = send(place, *make(random))
        statuses.setdefault(name, set()).add(got[9:12].decode())
        assert b"root:" not in got
        if i == 2 * len(kinds):  # by then every decoder has been used
            start = resident(pid)
    assert len(statuses) == len(KINDS)
    allowed = {"", "200", *(str(status) for status in range(400, 432))}
    assert {name: seen for name, seen in statuses.items() if seen - allowed} == {}
    answered = {name: seen for name, seen in statuses.items() if "200" in seen}
    assert set(answered) <= {"a mutant of a picture", "huge headers", "many headers", "an upgrade"}
    for name in ("a mutant of a picture", "a bomb", "values outside the classes"):
        assert "422" in statuses[name]  # what is decoded is answered
    assert np.array_equal(translated(place), before)
    assert resident(pid) - start < GROWTH
    for connection in slow:
        connection.close()
