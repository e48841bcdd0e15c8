"""What the demo answers to requests that are not its page's, and what it bounds."""

import asyncio
import base64
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from components.faults import Fault
from components.pages.demo.app import demo_app
from components.pages.demo.desk import Desk
from components.pages.demo.models import Model
from components.pages.guard import Bodies
from tests.pages.demo.served import make_easel, make_model, served

RAW = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def address(model: Model, tiny_shards: Path) -> Iterator[str]:
    with served(demo_app([make_easel((model,), tiny_shards)], "", "studio.lan")) as address:
        yield address


def answer(address: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        got = connection.getresponse()
        return got.status, dict(got.getheaders()), got.read()
    finally:
        connection.close()


def test_a_source_becomes_what_the_translator_makes_of_it(address: str, model: Model) -> None:
    source = np.random.default_rng(0).integers(0, 4, (32, 32), dtype=np.uint8)
    status, _, body = answer(address, "POST", "/translate/labels_to_photo", source.tobytes(), **RAW)
    assert status == 200
    got = json.loads(body)
    made = np.frombuffer(base64.b64decode(got["pictures"][0]), np.uint8).reshape(32, 32, 3)
    assert np.array_equal(made, model.translator.translate(source[None])[0])
    assert got["weights"] == [model.card.weights_sha256]


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"host": "localhost:8000"}, True),
        ({"host": "LOCALHOST"}, True),
        ({"host": "127.0.0.1:9"}, True),
        ({"host": "[::1]:8000"}, True),
        ({"host": "192.168.7.2:8000"}, True),  # an address is no name that a foreign server could answer for
        ({"host": "studio.lan:8000"}, True),
        ({"host": "evil.example"}, False),
        ({"host": "localhost.evil.example:8000"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({"host": ""}, False),
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, True),
        ({"host": "localhost:8000", "origin": "http://localhost:9000"}, False),
        ({"host": "localhost:8000", "origin": "https://localhost:8000"}, False),
        ({"host": "localhost:8000", "origin": "http://evil.example"}, False),
        ({"host": "localhost:8000", "origin": "null"}, False),
        ({"host": "localhost:8000", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, False),
        ({"host": "localhost:8000", "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, False),
        ({"host": "localhost:8000", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, True),
        ({"host": "localhost:8000", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, True),
    ],
)
def test_a_page_of_another_site_cannot_drive_it(address: str, headers: dict[str, str], taken: bool) -> None:
    for path in ("/", "/sample/labels_to_photo"):
        status, given, _ = answer(address, "GET", path, **headers)
        assert status == (200 if taken else 403)
        assert "access-control-allow-origin" not in given
    if headers.get("sec-fetch-mode") != "navigate":
        status, _, _ = answer(address, "POST", "/translate/labels_to_photo", bytes(1024), **RAW, **headers)
        assert status == (200 if taken else 403)
    else:  # a form that another page submits is a navigation too
        assert answer(address, "POST", "/translate/labels_to_photo", bytes(1024), **RAW, **headers)[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/translate/labels_to_photo", bytes(1023), RAW, 422),
        ("POST", "/translate/labels_to_photo", bytes(1025), RAW, 413),
        ("POST", "/translate/labels_to_photo", bytes([4]) * 1024, RAW, 422),
        ("POST", "/translate/labels_to_photo", bytes(1024), {"content-type": "text/plain"}, 415),
        ("POST", "/translate/labels_to_photo", bytes(1024), {}, 415),
        ("POST", "/translate/photo_to_labels", bytes(1024), RAW, 404),
        ("POST", "/upload/labels_to_photo", b"{}", RAW, 422),
        ("POST", "/upload/labels_to_photo", b"", RAW | {"content-length": "16000001"}, 413),
        ("GET", "/translate/labels_to_photo", None, {}, 405),
        ("PUT", "/", b"x", {}, 405),
        ("OPTIONS", "/translate/labels_to_photo", None, {}, 405),
        ("GET", "/assets/../../../../params.yaml", None, {}, 404),
        ("GET", "/assets/..%2f..%2fconfig.py", None, {}, 404),
        ("GET", "/assets/page.html", None, {}, 404),
        ("GET", "/docs", None, {}, 404),
        ("GET", "/openapi.json", None, {}, 404),
        ("GET", "/assets/demo.js", None, {}, 200),
    ],
)
def test_what_is_not_asked_for_is_refused(
    address: str, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    got, given, text = answer(address, method, path, body, **headers)
    assert got == status
    assert given["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in given["content-security-policy"]
    assert "unsafe" not in given["content-security-policy"]
    assert len(text) < 300 or status == 200


def request(parts: list[bytes], pause: float = 0.0, ends: bool = True, length: int | None = None) -> Request:
    """A request whose body comes in parts, with pauses; one that does not end is cut off."""
    coming = list(parts)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        if not coming:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": coming.pop(0), "more_body": bool(coming) or not ends}

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def read(bodies: Bodies, asked: Request, most: int = 10) -> bytes:
    async with bodies.read(asked, most) as body:
        return body


def test_bodies_are_bounded_in_bytes_and_seconds_and_together() -> None:
    bodies, hasty = Bodies(most_held=25), Bodies(most_held=25, seconds=0.2)
    assert asyncio.run(read(bodies, request([b"12345", b"67890"]))) == b"1234567890"
    for reader, asked, status in (
        (bodies, request([b"12345", b"678901"]), 413),  # counted, whatever the header says
        (bodies, request([b""], length=11), 413),
        (hasty, request([b"1"] * 9, pause=0.1), 408),
        (bodies, request([b"123"], ends=False), 400),
    ):
        with pytest.raises(HTTPException) as refused:
            asyncio.run(read(reader, asked))
        assert refused.value.status_code == status

    async def together() -> list[object]:
        slow = [read(bodies, request([b"1", b"2"], pause=0.05)) for _ in range(4)]
        return await asyncio.gather(*slow, return_exceptions=True)

    got = asyncio.run(together())
    assert got[:2] == [b"12", b"12"]
    assert [refused.status_code for refused in got[2:] if isinstance(refused, HTTPException)] == [503, 503]
    assert asyncio.run(read(bodies, request([b"1234567890"]))) == b"1234567890"  # all was given back


def test_few_wait_at_the_desk_and_a_fault_is_one_line() -> None:
    async def crowd() -> list[object]:
        desk, gate = Desk(most_waiting=2), asyncio.Event()
        loop = asyncio.get_running_loop()
        first = [asyncio.ensure_future(desk.do(lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()))]
        first.append(asyncio.ensure_future(desk.do(lambda: 7)))
        await asyncio.sleep(0)
        refused = await asyncio.gather(desk.do(lambda: 8), return_exceptions=True)
        gate.set()
        return [*refused, *await asyncio.gather(*first), await desk.do(lambda: 9)]

    refused, *made = asyncio.run(crowd())
    assert isinstance(refused, HTTPException)
    assert refused.status_code == 503
    assert made == [True, 7, 9]

    def fault() -> None:
        raise Fault("label 9 is outside")

    with pytest.raises(HTTPException, match="422: label 9 is outside"):
        asyncio.run(Desk().do(fault))
