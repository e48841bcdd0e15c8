"""A rank stopped or killed, the driver or Ray's head killed: an end by name, or a run that goes on, and no orphans."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.drive import start
from tests.cluster.nodes import Nodes

ENDS = "11 a rank stopped or killed, the driver or Ray's head killed: an end by name or a run that goes on, no orphans"
GONE_S = 90.0  # until all processes of a run have gone
END_S = 240.0  # until a run has ended, on a busy machine

pytestmark = [pytest.mark.slow, pytest.mark.promise(ENDS)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """A head and one more node."""
    with Nodes() as nodes:
        nodes.join()
        nodes.await_nodes(2)
        yield nodes


def await_ranks(folder: Path, driver: "subprocess.Popen[str]") -> list[int]:
    """The processes of both ranks, as soon as they take steps."""
    files = [folder / f"rank_{rank}" for rank in range(2)]
    assert soon(lambda: all(file.exists() for file in files) or driver.poll() is not None, END_S)
    assert driver.poll() is None, driver.communicate()[1]
    return [int(file.read_text()) for file in files]


def below(pid: int) -> list[psutil.Process]:
    """All processes below one."""
    return psutil.Process(pid).children(recursive=True)


def living(processes: list[psutil.Process]) -> list[str]:
    """What still runs of them; a worker of Ray that has nothing to do waits for the next job."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                command = " ".join(process.cmdline()) or process.name()
                found += [] if command.startswith("ray::IDLE") else [f"{process.pid} {command[:60]}"]
        except psutil.NoSuchProcess:
            continue
    return found


def soon(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def end_of(driver: "subprocess.Popen[str]") -> tuple[int | None, str]:
    """The driver's status and last line; None if it hangs."""
    try:
        said = driver.communicate(timeout=END_S)[1]
    except subprocess.TimeoutExpired:
        driver.kill()
        return None, driver.communicate()[1]
    return driver.returncode, said


@pytest.mark.parametrize("where", ["local", "cluster"])
@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("sleeps", r"^rank 1 \(node [\d.]+, pid {pid}\) hangs at step 40 in functions\.py:\d+ "),
        ("stops", r"^rank 1 \(node [\d.]+, pid {pid}\) does not answer; it was last heard of at step \d+"),
        ("dies", r"^rank 1 \(node [\d.]+, pid {pid}\) died at step \d+"),
    ],
)
def test_a_rank_that_stops_ends_the_run_by_name(request, tmp_path, tally, where, function, said):
    address = request.getfixturevalue("cluster").address if where == "cluster" else "local"
    placement = "STRICT_SPREAD" if where == "cluster" else "PACK"
    for max_failures in (0, 1):
        folder = tmp_path / str(max_failures)
        what = {"function": function, "timeout_s": 6, "max_failures": max_failures, "placement": placement}
        driver = start(address, folder=str(folder), **what)
        assert soon(lambda: (folder / "mishap").exists() or driver.poll() is not None, END_S)  # noqa: B023
        mine = below(driver.pid)
        status, text = end_of(driver)
        case = f"{function} on {where}, {max_failures} failures allowed"
        pid = (folder / "mishap").read_text()
        named = said.format(pid=pid)
        if max_failures:
            named = named.replace("^", "^workers: ")
            tally.count(status == 0 and (folder / "done").exists(), f"{case}: did not go on: {status} {text}")
        else:
            tally.count(status == 1, f"{case}: status {status}")
        tally.count(any(re.search(named, line) for line in text.splitlines()), f"{case}: said {text}")
        gone = soon(lambda: not living(mine) and not psutil.pid_exists(int(pid)), GONE_S)  # noqa: B023
        tally.count(gone, f"{case}: {living(mine)} still run")


@pytest.mark.parametrize("where", ["local", "cluster"])
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "a rank is stopped"])
def test_a_killed_driver_leaves_nothing_running(request, tmp_path, tally, where, stopped):
    nodes = request.getfixturevalue("cluster") if where == "cluster" else None
    driver = start(nodes.address if nodes else "local", folder=str(tmp_path), function="goes_on", timeout_s=300)
    ranks = await_ranks(tmp_path, driver)
    if stopped:
        os.kill(ranks[1], signal.SIGSTOP)
    mine = below(driver.pid) + [psutil.Process(pid) for pid in ranks]
    driver.kill()
    driver.communicate()
    case = f"driver killed on {where}" + ", a rank stopped" * stopped
    gone = soon(lambda: not living(mine), GONE_S)
    tally.count(gone, f"{case}: {living(mine)} still run")
    for process in mine:
        if not gone and process.is_running():
            process.kill()
