"""What a served page asks of every request: that its own page sends it, and that it is of bounded size."""

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d{1,5})?")


class Guard:
    """ASGI middleware: security headers on every answer, and no request from a page of another site.

    The Host must be an address, `localhost` or the name that was bound: what DNS rebinding sends is the name of
    another site. An Origin must be the page's own, and what a browser says of the site of a request (Sec-Fetch-Site)
    too, unless it is a person who follows a link to the page. Nothing is allowed through CORS.

    Args:
        host: the name or the address that was bound, as it was given.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app, self._names = app, {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        if refusal := self._refusal(scope):
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await guarded({"type": "http.response.start", "status": 403, "headers": headers})
            await guarded({"type": "http.response.body", "body": f"{refusal}\n".encode()})
            return
        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> str:
        """What is wrong with a request's headers; empty if nothing is."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        host = headers.get("host", "").lower()
        if not self._is_own(host):
            return "this page answers to its own address alone, and the request was for another name"
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}":
            return "this page answers to itself alone, and another page sent the request"
        visit = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not visit:
            return "this page answers to itself alone, and another page sent the request"
        return ""

    def _is_own(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        if found["name"] in self._names:
            return True
        try:
            ipaddress.ip_address(found["name"].strip("[]"))
        except ValueError:
            return False
        return True


class Bodies:
    """Reads the bodies of requests: each bounded in bytes and seconds, and all that are held at once in bytes."""

    def __init__(self, most_held: int, seconds: float = 20.0) -> None:
        self._free, self._seconds = most_held, seconds

    @asynccontextmanager
    async def read(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """The body, which counts as held as long as the block runs; never on disk.

        Args:
            most: bytes that it may have, by its header and as they are counted.

        Raises:
            HTTPException: 413 too long, 408 too slow, 503 too many at once, 400 ended early.
        """
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > most:
            raise _closing(413, f"more than {most:,} bytes")
        held = int(length) if length.isdecimal() else most
        if held > self._free:
            raise _closing(503, "busy with other pictures; try again")
        self._free -= held
        try:
            yield await self._counted(request, most)
        finally:
            self._free += held

    async def _counted(self, request: Request, most: int) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                async for part in request.stream():
                    body += part
                    if len(body) > most:
                        raise _closing(413, f"more than {most:,} bytes")
        except TimeoutError:
            raise _closing(408, f"the body did not come within {self._seconds:.0f} seconds") from None
        except ClientDisconnect:
            raise _closing(400, "the body ended early") from None
        return bytes(body)


def _closing(status: int, detail: str) -> HTTPException:
    """An answer after which the connection ends, as what is left of the body is not read."""
    return HTTPException(status, detail, {"connection": "close"})
