"""A Ray session: the cluster that RAY_ADDRESS names, or one of this machine's own."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from components.faults import Fault

_PATIENCE_S = 5.0


@contextmanager
def ray_session(dashboard: bool = False) -> Iterator[None]:
    """Be connected to Ray inside the block; a process that is connected already stays so.

    Args:
        dashboard: start one with a cluster of this machine's own.

    Raises:
        Fault: nobody answers at RAY_ADDRESS.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
    address = os.environ.get("RAY_ADDRESS") or "local"
    import ray

    if ray.is_initialized():
        yield
        return
    _knock(address)
    try:
        ray.init(address=address, include_dashboard=dashboard, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise Fault(f"RAY_ADDRESS={address}: {str(error).splitlines()[0]}; start the cluster or unset it") from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Refuse an address that nobody answers in seconds; Ray itself would try for minutes."""
    if address in ("local", "auto"):
        return
    if address.startswith("http"):
        raise Fault(f"RAY_ADDRESS={address}: give host:port here; the http address is RAY_API_SERVER_ADDRESS")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise Fault(f"RAY_ADDRESS={address}: not host:port")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise Fault(f"RAY_ADDRESS={address}: nobody answers ({error}); start the cluster or unset it") from error
