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

from components.faults import Fault
from components.pages.demo.app import demo_app
from components.pages.demo.models import Model
from components.pages.demo.worker import Worker
from tests.pages.demo.served import make_easel, make_model, served
from tests.pages.loop import run

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
    assert np.array_equal(made, model.generator.translate(source[None])[0])
    assert got["weights"] == [model.card.weights_sha256]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:8000"}, 200),
        ({"host": "LOCALHOST"}, 200),
        ({"host": "127.0.0.1:9"}, 200),
        ({"host": "[::1]:8000"}, 200),
        ({"host": "192.168.7.2:8000"}, 421),
        ({"host": "studio.lan:8000"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example:8000"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": ""}, 421),
        ({"host": "localhost:8000", "origin": "http://localhost:8000"}, 200),
        ({"host": "localhost:8000", "origin": "http://localhost:9000"}, 403),
        ({"host": "localhost:8000", "origin": "https://localhost:8000"}, 403),
        ({"host": "localhost:8000", "origin": "http://evil.example"}, 403),
        ({"host": "localhost:8000", "origin": "null"}, 403),
        ({"host": "localhost:8000", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"host": "localhost:8000", "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({"host": "localhost:8000", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"host": "localhost:8000", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200),
    ],
)
def test_a_page_of_another_site_cannot_drive_it(address: str, headers: dict[str, str], status: int) -> None:
    visit = headers.get("sec-fetch-mode") == "navigate"
    for path in ("/", "/sample/labels_to_photo"):
        got, given, _ = answer(address, "GET", path, **headers)
        assert got == (403 if visit and path != "/" else status)  # a link leads to the page alone
        assert "access-control-allow-origin" not in given
    got, _, _ = answer(address, "POST", "/translate/labels_to_photo", bytes(1024), **RAW, **headers)
    assert got == (403 if visit else status)  # a form that another page submits is a navigation too


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


def test_few_wait_at_the_desk_and_a_fault_is_one_line() -> None:
    async def crowd() -> list[object]:
        worker, gate = Worker(most_waiting=2), asyncio.Event()
        loop = asyncio.get_running_loop()
        first = [asyncio.ensure_future(worker.do(lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()))]
        first.append(asyncio.ensure_future(worker.do(lambda: 7)))
        await asyncio.sleep(0)
        refused = await asyncio.gather(worker.do(lambda: 8), return_exceptions=True)
        gate.set()
        return [*refused, *await asyncio.gather(*first), await worker.do(lambda: 9)]

    refused, *made = run(crowd())
    assert isinstance(refused, HTTPException)
    assert refused.status_code == 503
    assert made == [True, 7, 9]

    def fault() -> None:
        raise Fault("label 9 is outside")

    with pytest.raises(HTTPException, match="422: label 9 is outside"):
        run(Worker().do(fault))
