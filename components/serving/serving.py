"""Serves a page with uvicorn at one address, and prints its address or why it cannot be served."""

import errno
import ipaddress
import socket
import sys
from typing import Any

from components.faults import Fault


def serve(app: Any, host: str, port: int, what: str) -> None:
    """Serve an ASGI application until Ctrl-C or SIGTERM.

    Args:
        host: an address of this machine; any but loopback brings a warning: who reaches it can use the page.
        port: 0 is any that is free.
        what: is served, for people.

    Raises:
        Fault: the address cannot be used.
    """
    import uvicorn

    with _bound(host, port) as bound:
        address, taken = bound.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        sys.stderr.write(f"pix2pipe: {what} at http://{shown}:{taken}/ (Ctrl-C ends it)\n")
        if not ipaddress.ip_address(address).is_loopback:
            sys.stderr.write(
                f"pix2pipe: {address} is not loopback: whoever reaches this machine can use the page, "
                "without a password and without encryption\n"
            )
        config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=5)
        uvicorn.Server(config).run(sockets=[bound])


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, OverflowError) as error:
        raise Fault(f"--host {host} --port {port}: not an address of this machine ({error})") from error
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(place)
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise Fault(f"port {port} of {host} is in use; choose another with --port, or --port 0 for any") from error
        raise Fault(f"--host {host} --port {port}: {error.strerror}") from error
    return made
