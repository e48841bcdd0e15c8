"""Requests that no page of the study sends are refused, and answers carry what keeps a page safe."""

import http.client
import socket
from pathlib import Path

import pytest

from components.study.simulate import running
from tests.study.helpers import make_study


@pytest.fixture
def port(tmp_path: Path, one):
    with running(make_study(tmp_path / "v.db", one)) as port:
        yield port


def test_headers(port: int, browse):
    client = browse(port)
    for path in ("/", "/style.css", "/study.js", "/api/state", "/nowhere"):
        headers = dict(client.get(path).headers)
        assert headers["cache-control"] == "no-store", path
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'"), path
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    given = dict(client.request("GET", "/", headers={"Cookie": ""}).headers)["set-cookie"]
    assert "HttpOnly" in given
    assert "SameSite=strict" in given
    assert "Path=/" in given
    assert "http" not in client.get("/").body.decode().replace("https://", "http://")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Host": "10.0.0.1"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Cookie": ""}, 403),
        ({"Cookie": "study=../../x"}, 403),
    ],
)
def test_foreign_pages_and_names_are_refused(port: int, browse, headers, status):
    client = browse(port)
    assert client.request("POST", "/api/join", {"code": None}, headers).status == status
    assert client.state()["phase"] == "welcome"
    ours = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}", "Sec-Fetch-Site": "same-origin"}
    assert client.request("POST", "/api/join", {"code": None}, ours).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"position": 0, "side": "middle", "exposure_ms": 1, "answer_ms": 1},
        {"position": -1, "side": "left", "exposure_ms": 1, "answer_ms": 1},
        {"position": 0, "side": "left", "exposure_ms": 1e300, "answer_ms": 1},
        {"position": 0, "side": "left", "exposure_ms": 1, "answer_ms": 1, "more": 1},
    ],
)
def test_votes_that_are_none(port: int, browse, body):
    client = browse(port)
    client.post("/api/join")
    client.look()
    answer = client.post("/api/vote", body)
    assert answer.status == 422
    assert answer.json() == {"error": "Not a request of the study's page."}
    assert client.state()["position"] == 0


def test_bodies_are_bounded(port: int, browse):
    client = browse(port)

    def status(fields: str, body: str = "", path: str = "/api/join") -> int:
        # In one piece: what arrives after a refusal would cut its answer off.
        with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {client.cookie}\r\n"
            raw.sendall(f"{head}Content-Type: application/json\r\n{fields}\r\n{body}".encode())
            reply = http.client.HTTPResponse(raw)
            reply.begin()
            reply.close()
            return reply.status

    long = f'{{"code": "{"x" * 5000}"}}'
    for path in ("/api/join", "/api/pair"):
        assert status(f"Content-Length: {len(long)}\r\n", long, path) == 413
    chunk = f"{1000:x}\r\n{' ' * 1000}\r\n"
    assert status("Content-Length: 999999999999999\r\n") == 413
    assert status("Transfer-Encoding: chunked\r\n", 5 * chunk) == 413  # counted, though there is no end to it
    assert status("") == 422
    assert client.state()["phase"] == "welcome"
    assert status("Transfer-Encoding: chunked\r\n", f"{4 * chunk}2\r\n{{}}\r\n0\r\n\r\n") == 200
