"""What a served page requires of every request: it comes from the page itself, and its size is bounded."""

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
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
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANY_ADDRESS = ("", "0.0.0.0", "::")
_DRAIN_BYTES, _DRAIN_S = 1 << 16, 1.0  # of a body that is refused, read all the same
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d{1,5})?")


class Guard:
    """ASGI middleware: security headers on every answer, and no request from a page of another site.

    With DNS rebinding, a page of another site reaches this machine under a Host that is not ours, so such a Host is
    refused. An Origin must be the page's own, and what a browser says of the site of a request (Sec-Fetch-Site) too,
    unless it is a person who follows a link to the page. Nothing is allowed through CORS.

    Args:
        host: the name or the address that was bound, as it was given; where it is any address, any one is ours.
        names: by which else people reach it, through a proxy that may speak TLS.
    """

    def __init__(self, app: ASGIApp, host: str, names: Iterable[str] = ()) -> None:
        self._app, self._any_address = app, host in _ANY_ADDRESS
        self._given = {name.lower() for name in names}
        self._names = {*_LOOPBACK, host.lower(), *self._given}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
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
            await _drained(receive)
            await PlainTextResponse(f"{refusal[1]}\n", refusal[0], {"connection": "close"})(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and what is wrong with a request's headers; None if nothing is."""
        fields: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            fields.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").lower())
        hosts = fields.get("host", [])
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None or not self._is_own(name := found["name"].strip("[]"), scope):
            return 421, "this page answers to its own address alone, and the request was for another name"
        schemes = (scope["scheme"], "https") if name in self._given else (scope["scheme"],)
        origins = [f"{scheme}://{hosts[0]}" for scheme in schemes]
        visit = (scope["method"], scope["path"], fields.get("sec-fetch-mode")) == ("GET", "/", ["navigate"])
        foreign = any(origin not in origins for origin in fields.get("origin", []))
        foreign |= not visit and any(site not in ("none", "same-origin") for site in fields.get("sec-fetch-site", []))
        return (403, "this page answers to itself alone, and another page sent the request") if foreign else None

    def _is_own(self, name: str, scope: Scope) -> bool:
        """Whether a Host is ours: by name, or as the address that the request came to, as of a name that was bound."""
        if name in self._names or name == (scope.get("server") or ("",))[0]:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address


class Bodies:
    """Reads the bodies of requests: each bounded in bytes and seconds, and all that are held at once in bytes."""

    def __init__(self, most_held: int, seconds: float = 20.0) -> None:
        self._free, self._seconds = most_held, seconds

    @asynccontextmanager
    async def read(self, request: Request, kind: str, most: int) -> AsyncIterator[bytes]:
        """The body, which counts as held as long as the block runs; never on disk.

        Args:
            kind: its content type, one that a page of another site cannot send without asking first.
            most: bytes that it may have, by its header and as they are counted.

        Raises:
            HTTPException: 415 another type, 413 too long, 408 too slow, 503 too many at once, 400 ended early.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
            await _drained(request.receive)
            raise _closing(415, f"send {kind}")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > most:
            await _drained(request.receive)
            raise _closing(413, f"more than {most:,} bytes")
        held = int(length) if length.isdecimal() else most
        if held > self._free:
            raise _closing(503, "busy with other requests; try again")
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


async def _drained(receive: Receive) -> None:
    """Read a little of a body that is refused.

    The connection ends with the answer, and where it ends over bytes that nobody read, the network resets it and
    whoever sent them may never see the answer.
    """
    taken = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while taken <= _DRAIN_BYTES:
                message = await receive()
                taken += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _closing(status: int, detail: str) -> HTTPException:
    """An answer after which the connection ends, as what is left of the body is not read."""
    return HTTPException(status, detail, {"connection": "close"})
