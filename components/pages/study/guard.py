"""Guard: what a request must be before the study looks at it, and what every answer carries."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

MAX_BODY = 4096  # bytes; the longest real one has about 150
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """An ASGI application around another: refuses what no page of ours would send.

    A Host that is not ours is how a foreign page reaches a server of this machine by a name of its own (DNS
    rebinding); an Origin that is not ours is a foreign page that posts. Bodies must say their length, and stay
    below `MAX_BODY`.

    Args:
        host: the address that is bound. names: further names that the machine is called by.
    """

    def __init__(self, app: Any, host: str, names: Iterable[str] = ()) -> None:
        self._app = app
        self._names = {*_LOOPBACK, host.strip("[]").lower(), *(name.lower() for name in names)}
        self._any_address = host in ("", "0.0.0.0", "::")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, answer)
            return
        status, text = refusal
        body = f"{text}\n".encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        # What is left of the body is not read: the connection ends with the answer.
        headers.append((b"connection", b"close"))
        await answer({"type": "http.response.start", "status": status, "headers": headers})
        await answer({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        """The status and the reason, None where the request may pass."""
        fields: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            fields.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = fields.get("host", [])
        if len(hosts) != 1 or not self._ours(hosts[0]):
            return 421, "This address is not one that the study is served at."
        if scope["method"] in ("GET", "HEAD"):
            return None
        for origin in fields.get("origin", []):
            if urlsplit(origin).netloc.lower() != hosts[0].lower():
                return 403, "A page of another address may not answer here."
        if any(site not in ("same-origin", "none") for site in fields.get("sec-fetch-site", [])):
            return 403, "A page of another address may not answer here."
        if "transfer-encoding" in fields or len(lengths := fields.get("content-length", [])) != 1:
            return 411, "Say how long the body is."
        if not re.fullmatch(r"\d{1,9}", lengths[0]) or int(lengths[0]) > MAX_BODY:
            return 413, f"A body of more than {MAX_BODY} bytes is not read."
        return None

    def _ours(self, host: str) -> bool:
        name = re.sub(r":\d+$", "", host).strip("[]").lower()
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address
