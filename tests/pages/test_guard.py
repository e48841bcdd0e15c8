"""The guard of served pages: whose requests it hands on, what every answer carries, and how bodies are bounded."""

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from components.serving.guard import Bodies, Guard
from tests.pages.loop import run

Fields = list[tuple[str, str]]


def asked(guard: Guard, fields: Fields, path: str = "/", method: str = "GET") -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request that came to 192.0.2.7."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "scheme": "http", "server": ("192.0.2.7", 8000)}
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    run(guard(scope | {"headers": headers}, receive, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_of_a_refused_body_a_little_is_read_and_no_more() -> None:
    """So that the answer is not lost to a reset, and nobody is read without end or waited for long."""

    async def ask(part: bytes, pause_s: float) -> tuple[int, int]:
        read, sent = 0, []

        async def receive() -> Any:
            nonlocal read
            await asyncio.sleep(pause_s)
            read += len(part)
            return {"type": "http.request", "body": part, "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/", "scheme": "http", "server": ("192.0.2.7", 8000)}
        async with asyncio.timeout(20):
            await guard("localhost")(scope | {"headers": [(b"host", b"evil.example")]}, receive, send)
        return sent[0]["status"], read

    status, read = run(ask(b"x" * 10_000, 0))
    assert (status, read) == (421, 70_000)
    assert run(ask(b"", 60)) == (421, 0)


def guard(bound: str, *names: str) -> Guard:
    return Guard(PlainTextResponse("within"), bound, names)


@pytest.mark.parametrize(
    ("bound", "names", "ours", "foreign"),
    [
        ("127.0.0.1", (), "127.0.0.1 localhost:8000 [::1]:8000", "10.0.0.1 [::2] ::1 evil.example 127.0.0.1.evil"),
        ("studio.lan", (), "studio.lan STUDIO.lan:80 192.0.2.7:8000 127.0.0.1", "192.0.2.8:8000 a.studio.lan studio"),
        ("Studio.lan", ("study.example.org",), "studio.lan study.example.org", "example.org 10.0.0.1"),
        ("10.0.0.1", (), "10.0.0.1 10.0.0.1:8000 localhost", "10.0.0.2 10.0.0.1.evil.example"),
        ("0.0.0.0", (), "10.0.0.1 203.0.113.9:8000 [2001:db8::1]:8000 localhost", "evil.example 10.0.0.1.evil.example"),
        ("::", ("a.example",), "10.0.0.1 [2001:db8::1] a.example", "evil.example [a.example] 10.0.0.1:x 10.0.0"),
    ],
)
def test_the_host_is_what_was_bound_or_a_given_name(bound: str, names: tuple[str], ours: str, foreign: str) -> None:
    for host in ours.split():
        assert asked(guard(bound, *names), [("host", host)])[0] == 200, host
    for host in foreign.split():
        assert asked(guard(bound, *names), [("host", host)])[0] == 421, host


@pytest.mark.parametrize("fields", [[], [("host", "")], [("host", "localhost")] * 2, [("host", "\xe9")]])
def test_a_request_has_one_host(fields: Fields) -> None:
    assert asked(guard("localhost"), fields)[0] == 421


def test_an_origin_is_the_page_itself() -> None:
    def status(host: str, *origins: str, method: str = "POST") -> int:
        fields = [("host", host), *(("origin", origin) for origin in origins)]
        return asked(guard("localhost", "study.example.org"), fields, "/vote", method)[0]

    for method in ("GET", "POST"):
        assert status("localhost:8000", "http://localhost:8000", method=method) == 200
        for origin in ("http://localhost", "https://localhost:8000", "http://evil.example", "null", ""):
            assert status("localhost:8000", origin, method=method) == 403, origin
    assert status("localhost:8000", "http://localhost:8000", "http://evil.example") == 403
    # A name that was given may be a proxy's that speaks TLS.
    assert status("study.example.org", "https://study.example.org") == 200
    assert status("study.example.org", "https://localhost") == 403
    assert status("localhost", "https://study.example.org") == 403


def test_a_link_leads_to_the_page_and_to_nothing_else() -> None:
    def status(method: str, path: str, *modes: str, site: str = "cross-site") -> int:
        fields = [("host", "localhost"), ("sec-fetch-site", site), *(("sec-fetch-mode", mode) for mode in modes)]
        return asked(guard("localhost"), fields, path, method)[0]

    assert status("GET", "/", "navigate") == 200
    assert status("GET", "/sample", "navigate") == 403
    assert status("POST", "/", "navigate") == 403
    assert status("GET", "/", "no-cors") == 403
    assert status("GET", "/") == 403
    assert status("GET", "/", "navigate", "no-cors") == 403
    assert status("GET", "/sample", "cors", site="same-site") == 403
    assert status("POST", "/sample", "cors", site="same-origin") == 200
    assert status("GET", "/sample", "navigate", site="none") == 200


def test_every_answer_carries_what_keeps_a_page_safe() -> None:
    for host, status in (("localhost", 200), ("evil.example", 421)):
        got, given = asked(guard("localhost"), [("host", host)])
        assert got == status
        assert given["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in given["content-security-policy"]
        assert given["cache-control"] == "no-store"
        assert given["x-content-type-options"] == "nosniff"
        assert given["referrer-policy"] == "no-referrer"
        assert given["cross-origin-opener-policy"] == given["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in given
        assert given.get("connection") == (None if status == 200 else "close")


def request(
    parts: list[bytes], pause: float = 0.0, ends: bool = True, length: int | None = None, kind: str = "text/x-own"
) -> Request:
    """A request whose body comes in parts, with pauses; one that does not end is cut off."""
    coming = list(parts)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        if not coming:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": coming.pop(0), "more_body": bool(coming) or not ends}

    headers = [(b"content-type", kind.encode())]
    headers += [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def read(bodies: Bodies, asked: Request, most: int = 10) -> bytes:
    async with bodies.read(asked, "text/x-own", most) as body:
        return body


def test_bodies_are_bounded_in_bytes_and_seconds_and_together() -> None:
    bodies, hasty = Bodies(most_held=25), Bodies(most_held=25, seconds=0.2)
    assert run(read(bodies, request([b"12345", b"67890"], kind="Text/X-Own; charset=utf-8"))) == b"1234567890"
    for reader, asked, status in (
        (bodies, request([b"12345", b"678901"]), 413),  # counted, whatever the header says
        (bodies, request([b""], length=11), 413),
        (hasty, request([b"1"] * 9, pause=0.1), 408),
        (bodies, request([b"123"], ends=False), 400),
        (bodies, request([b"123"], kind="text/plain"), 415),
        (bodies, request([b"123"], kind=""), 415),
    ):
        with pytest.raises(HTTPException) as refused:
            run(read(reader, asked))
        assert refused.value.status_code == status

    async def together() -> list[object]:
        slow = [read(bodies, request([b"1", b"2"], pause=0.05)) for _ in range(4)]
        return await asyncio.gather(*slow, return_exceptions=True)

    got = run(together())
    assert got[:2] == [b"12", b"12"]
    assert [refused.status_code for refused in got[2:] if isinstance(refused, HTTPException)] == [503, 503]
    assert run(read(bodies, request([b"1234567890"]))) == b"1234567890"  # all was given back
