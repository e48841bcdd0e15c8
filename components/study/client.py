"""A participant's side of the study over real HTTP, for simulations and tests: what the page does, without looking."""

import http.client
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server said to one request; header names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """One browser: a connection that is kept open, and a cookie.

    Args:
        port: of 127.0.0.1. cookie: of an earlier visit; otherwise the page is opened and gives one.
    """

    def __init__(self, port: int, cookie: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.cookie = cookie or ""
        if cookie is None:
            given = dict(self.request("GET", "/").headers)["set-cookie"]
            self.cookie = given.partition(";")[0]

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request; a connection that the server has closed is opened again."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Cookie": self.cookie, **({"Content-Type": "application/json"} if data else {}), **(headers or {})}
        try:
            self._connection.request(method, path, data, sent)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._connection.close()
            self._connection.request(method, path, data, sent)
            answer = self._connection.getresponse()
        fields = [(name.lower(), value) for name, value in answer.getheaders()]
        return Reply(answer.status, fields, answer.read())

    def get(self, path: str) -> Reply:
        """A GET."""
        return self.request("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Reply:
        """A POST of JSON."""
        return self.request("POST", path, body or {})

    def state(self) -> dict[str, Any]:
        """Where the participant is."""
        return dict(self.get("/api/state").json())

    def look(self) -> tuple[dict[str, Any], bytes, bytes]:
        """Fetch the pair that is due and begin its exposure; gives the pair, the left and the right PNG."""
        pair = self.post("/api/pair").json()
        left, right = (self.get(f"/picture/{pair[side]}").body for side in ("left", "right"))
        self.post("/api/shown", {"position": pair["position"], "name": pair["name"]})
        return pair, left, right

    def vote(self, position: int, side: str) -> Reply:
        """Answer a pair."""
        return self.post("/api/vote", {"position": position, "side": side, "exposure_ms": 1000.0, "answer_ms": 500.0})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
