"""Nodes of a Ray cluster on this machine: one raylet each, which can be killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from ray.util import get_node_ip_address

RAY = Path(sys.executable).with_name("ray")
# Nobody else reaches a cluster of these tests; its workers are handed functions of tests/.
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(Path(__file__).parents[2])}


class Nodes:
    """A head with `cpus` CPUs; `join` adds others. All end with the block.

    Attributes:
        foreign: a folder that the head sees and a node of `join_apart` has of its own.

    All have this machine's address, so every rank's node_rank is 0; benchmarks/two_nodes.py has true ones:
    there each node has a network of its own, which a command before that of the node (`prefix`) gives it.
    """

    def __init__(
        self,
        cpus: int = 2,
        ip: str = "",
        prefix: tuple[str, ...] = (),
        folder: Path | None = None,
        interface: str = "",
        dashboard: bool = False,
    ) -> None:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        self.address = f"{ip or get_node_ip_address()}:{port}"
        self.prefix = prefix
        self._environment = {"GLOO_SOCKET_IFNAME": interface} if interface else {}
        self.foreign: Path | None = None
        self._folder = tempfile.mkdtemp(prefix="n", dir=folder or "/tmp")
        self._running: list[subprocess.Popen[bytes]] = []
        shown = f"--include-dashboard={str(dashboard).lower()}"
        self._head = (cpus, "--head", f"--port={port}", f"--temp-dir={self._folder}", shown)

    def join(self, cpus: int = 2, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start one more node; `prefix` is a command to run it under."""
        return self._start(cpus, f"--address={self.address}", prefix=prefix)

    def join_apart(self, folder: Path, cpus: int = 2) -> None:
        """Start a node that has a disk of its own at `folder`; only root may. Other users get an ordinary node."""
        prefix = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{folder}" && exec "$@"', "sh")
        may = subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
        self.foreign = folder if may else None
        self.join(cpus, prefix if may else ())

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """kill -9 of a node's raylet; its workers end by themselves, as on a machine that dies."""
        children = subprocess.run(["pgrep", "-P", str(node.pid)], capture_output=True, text=True).stdout.split()
        raylets = [pid for pid in map(int, children) if b"raylet/raylet" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(raylets) == 1
        os.kill(raylets[0], signal.SIGKILL)
        node.wait(60)

    def await_nodes(self, count: int, seconds: float = 90) -> None:
        """Wait until so many nodes live."""
        code = "import ray; ray.init(logging_level='error'); print(sum(node['Alive'] for node in ray.nodes()))"
        environment = os.environ | ENVIRONMENT | {"RAY_ADDRESS": self.address}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            seen = subprocess.run(
                [*self.prefix, sys.executable, "-c", code], capture_output=True, text=True, env=environment
            )
            if seen.stdout.strip() == str(count):
                return
            time.sleep(0.5)
        raise TimeoutError(f"not {count} nodes after {seconds} s: {seen.stdout}{seen.stderr[-500:]}")

    def __enter__(self) -> Self:
        self._start(*self._head, prefix=self.prefix)
        try:
            self.await_nodes(1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in reversed(self._running):
            node.terminate()
        for node in self._running:
            try:
                node.wait(60)
            except subprocess.TimeoutExpired:
                node.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, cpus: int, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        command = [*prefix, str(RAY), "start", "--block", f"--num-cpus={cpus}", *options]
        command += ["--min-worker-port=0", "--max-worker-port=0"]
        command += ["--object-store-memory=100000000", "--disable-usage-stats"]
        log = (Path(self._folder) / f"node_{len(self._running)}.log").open("wb")
        environment = os.environ | ENVIRONMENT | self._environment | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
        with log:
            node = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self._running.append(node)
        return node
