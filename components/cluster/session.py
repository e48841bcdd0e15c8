"""A Ray session: the cluster that RAY_ADDRESS names, or one of this machine's own."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from components.cluster.head import head_watched
from components.cluster.upload import pack
from components.faults import Fault
from components.storage.scratch import scratch
from components.training.stop import Stopped

TOKEN_ADVICE = "set RAY_AUTH_MODE=token, and the cluster's token in RAY_AUTH_TOKEN or its file in RAY_AUTH_TOKEN_PATH"
_PATIENCE_S = 5.0
_SHOWN = 160  # characters of what Ray says
_OF_A_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the processes of a job


@contextmanager
def ray_session(dashboard: bool = False) -> Iterator[None]:
    """Connect to Ray for the duration of the block.

    A process that is already connected (a worker of Ray that starts workers of its own) stays connected. The nodes of a
    cluster get the project's code, except in a job, which has brought it.

    Args:
        dashboard: start one with a cluster of this machine's own.

    Raises:
        Fault: nobody answers at RAY_ADDRESS, its cluster refuses, or Ray does not start on this machine.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
    address = os.environ.get("RAY_ADDRESS") or "local"
    import ray

    if ray.is_initialized():
        yield
        return
    _require_answer(address)
    with scratch() as folder:
        answer = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address=address,
                include_dashboard=dashboard,
                log_to_driver=False,
                logging_level="error",
                runtime_env=_runtime_env(address, folder),
                # Of a cluster of this machine's own: its session is gone with the folder, whoever is killed.
                **({"_temp_dir": str(folder / "ray")} if address == "local" else {}),
            )
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, answer)  # Ray has put its own in its place
        except SystemExit as stopped:  # which is this
            raise Stopped(signal.SIGTERM) from stopped
        except ray.exceptions.AuthenticationError as error:
            raise Fault(f"RAY_ADDRESS={address}: {str(error).split('. ')[0]}; {TOKEN_ADVICE}") from error
        except Exception as error:  # Ray raises bare ones too, such as where a node is too slow to start
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:_SHOWN]
            if address == "local":
                advice = "see that this machine has memory, disk and processor time to spare, and run again"
                raise Fault(f"Ray does not start: {reason}; {advice}") from error
            raise Fault(
                f"RAY_ADDRESS={address}: {reason}; start the cluster or unset it; if it wants a token, {TOKEN_ADVICE}"
            ) from error
        try:
            # At ray:// this process is no part of the cluster, and Ray does not end it.
            with nullcontext() if address.startswith("ray://") else head_watched():
                yield
        finally:
            ray.shutdown()


def _runtime_env(address: str, folder: Path) -> dict[str, Any] | None:
    """What nodes need of this project before they can run a function of it."""
    in_a_project = (Path.cwd() / "params.yaml").exists()  # elsewhere the nodes' installed package must do
    if address == "local" or _OF_A_JOB in os.environ or not in_a_project:
        return None
    return {"working_dir": str(pack(Path.cwd(), folder).archive)}


def _require_answer(address: str) -> None:
    """Refuse an address that does not answer within seconds; Ray itself would try for minutes."""
    if address in ("local", "auto"):
        return
    if address.startswith("http"):
        raise Fault(f"RAY_ADDRESS={address}: give host:port here; the http address belongs in RAY_API_SERVER_ADDRESS")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise Fault(f"RAY_ADDRESS={address}: not host:port")
    knock(f"RAY_ADDRESS={address}", host, int(port))


def knock(setting: str, host: str, port: int) -> None:
    """Try a port for five seconds.

    Raises:
        Fault: nobody answers; `setting` (NAME=value) is named as what to look at.
    """
    try:
        socket.create_connection((host, port), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise Fault(f"{setting}: nobody answers ({error}); start the cluster, or correct or unset it") from error
