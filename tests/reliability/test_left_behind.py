"""Drivers, raylets and heads of Ray that are killed: after the next start nothing of them is left, and none runs."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROMISE = "31 killed drivers, raylets and heads: nothing of ours or of Ray's is left after the next start"
ROOT = Path(__file__).parents[2]
TRIES = 5
SECONDS = 300  # for what takes ten, on a machine with other things to do
DRIVER = """
from components.cluster.session import ray_session
with ray_session():
    import ray
    ray.get(ray.remote(lambda: 1).options(num_cpus=0).remote())
    print("ready", flush=True)
    input()
"""
NEXT = "from components.storage.scratch import scratch\nwith scratch(): pass"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary ones, with a path so short that Ray's sockets can lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def running(folder: Path) -> dict[int, str]:
    """The processes that have the folder in their command or their variables."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if bytes(folder) in command + variables:
            found[int(place.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def start(folder: Path, code: str) -> subprocess.Popen[str]:
    unset = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=unset | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ready(folder: Path) -> subprocess.Popen[str]:
    """A driver in a session of Ray, which on a busy machine may take several tries."""
    for _ in range(TRIES):
        driver = start(folder, DRIVER)
        if driver.stdout.readline() == "ready\n":
            return driver
        driver.communicate(timeout=SECONDS)
    raise TimeoutError("Ray does not start")


def left(folder: Path) -> list[str]:
    """What a next start finds and leaves: only the folder of all temporary ones may stay, empty."""
    following = start(folder, NEXT)
    following.communicate(timeout=SECONDS)
    assert following.returncode == 0
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*")) + [
        path.name for path in folder.iterdir() if path.name != f"pix2pipe-{os.getuid()}"
    ]


@pytest.mark.slow
@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize("what", ["the driver", "raylet", "gcs_server", "all"])
def test_what_a_kill_leaves_is_gone_after_the_next_start(temporary, tally, what):
    driver = ready(temporary)
    assert any((temporary / f"pix2pipe-{os.getuid()}").iterdir()), "Ray's session is not where it is looked for"
    victims = {driver.pid} if what == "the driver" else set(running(temporary))
    if what not in ("the driver", "all"):
        victims = {pid for pid, command in running(temporary).items() if f"/{what}" in command.split(" ")[0]}
    assert victims
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    driver.stdin.close()
    driver.stdout.close()
    driver.wait(SECONDS)
    deadline = time.monotonic() + SECONDS
    while running(temporary) and time.monotonic() < deadline:
        time.sleep(0.5)
    tally.count(not running(temporary), f"{what}: still running: {list(running(temporary).values())[:3]}")
    found = left(temporary)
    tally.count(not found, f"{what}: left: {found}")
