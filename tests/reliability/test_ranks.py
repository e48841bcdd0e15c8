"""A rank stopped or killed, the driver or Ray's head killed: an end by name, or a run that goes on, and no orphans."""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import psutil
import pytest

from components.cluster.head import watch
from tests.cluster.drive import start
from tests.cluster.nodes import Nodes

ENDS = "11 a rank stopped or killed, the driver or Ray's head killed: an end by name or a run that goes on, no orphans"
GONE_S = 240.0  # until all processes of a run have gone: those of Ray look after each other once a minute
END_S = 400.0  # until a run has begun or has ended, on a busy machine
# Of no run: each node has its agents, and the cluster one coordinator, which the first run begins and all others share.
NODES_OWN = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::_AutoscalingCoordinator")

pytestmark = pytest.mark.promise(ENDS)


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    """A head and one more node, with a dashboard, as clusters have: by it Ray's cleaner sees that a driver is gone."""
    with Nodes(dashboard=True) as nodes:
        nodes.join()
        nodes.await_nodes(2)
        yield nodes


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    """For tests that leave it as it was."""
    with two_nodes() as nodes:
        yield nodes


def start_endless(nodes: Nodes | None, folder: Path) -> "subprocess.Popen[str]":
    """A driver whose ranks take steps without end, one on each of two nodes or both on a Ray of the driver's own."""
    address, placement = (nodes.address, "STRICT_SPREAD") if nodes else ("local", "PACK")
    return start(address, folder=str(folder), function="goes_on", timeout_s=20, placement=placement)


def await_ranks(folder: Path, driver: "subprocess.Popen[str]") -> list[int]:
    """The processes of both ranks, as soon as they take steps."""
    files = [folder / f"rank_{rank}" for rank in range(2)]

    def written() -> bool:
        return all(file.exists() and file.read_text() for file in files)

    assert soon(lambda: written() or driver.poll() is not None, END_S)
    assert driver.poll() is None, driver.communicate()[1]
    return [int(file.read_text()) for file in files]


def below(pid: int) -> list[psutil.Process]:
    """All processes below one."""
    return psutil.Process(pid).children(recursive=True)


def ranks_of(nodes: Nodes) -> list[psutil.Process]:
    """What a run has on a cluster: workers of Ray that have something to do for it, wherever they are."""
    workers = [worker for node in nodes._running for worker in below(node.pid)]
    names = [(worker, worker.cmdline()[0]) for worker in workers if living([worker])]
    return [worker for worker, name in names if name.startswith("ray::") and not name.startswith(NODES_OWN)]


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


def end_all(processes: list[psutil.Process]) -> None:
    """What a lost case has left."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def end_of(driver: "subprocess.Popen[str]") -> tuple[int | None, str]:
    """The driver's status and last line; None if it hangs."""
    try:
        said = driver.communicate(timeout=END_S)[1]
    except subprocess.TimeoutExpired:
        driver.kill()
        return None, driver.communicate()[1]
    return driver.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("max_failures", [0, 1])
@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("sleeps", r"rank 1 \(node [\d.]+, pid {pid}\) hangs at step 40 in functions\.py:\d+ "),
        ("stops", r"rank 1 \(node [\d.]+, pid {pid}\) does not answer; it was last heard of at step \d+"),
        ("dies", r"rank 1 \(node [\d.]+, pid {pid}\) died at step \d+"),
    ],
)
def test_a_rank_at_fault_is_named_and_nothing_is_left(cluster, tmp_path, tally, function, said, max_failures):
    what = {"function": function, "timeout_s": 6, "max_failures": max_failures}
    driver = start(cluster.address, folder=str(tmp_path), **what)
    mishap = tmp_path / "mishap"
    assert soon(lambda: mishap.exists() or driver.poll() is not None, END_S)
    mine = ranks_of(cluster)
    status, text = end_of(driver)
    case = f"{function}, {max_failures} failures allowed"
    if max_failures:
        tally.count(status == 0 and (tmp_path / "done").exists(), f"{case}: did not go on: {status} {text}")
    else:
        tally.count(status == 1, f"{case}: status {status}")
    named = ("workers: " if max_failures else "") + said.format(pid=mishap.read_text())
    tally.count(any(re.match(named, line) for line in text.splitlines()), f"{case}: said {text}")
    tally.count(soon(lambda: not living(mine), GONE_S), f"{case}: {living(mine)} still run")


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("where", ["local", "cluster"])
def test_a_killed_driver_leaves_nothing_running(request, tmp_path, tally, where, stopped):
    nodes = request.getfixturevalue("cluster") if where == "cluster" else None
    driver = start_endless(nodes, tmp_path)
    ranks = await_ranks(tmp_path, driver)
    if stopped:
        os.kill(ranks[1], signal.SIGSTOP)
    mine = ranks_of(nodes) if nodes else below(driver.pid)
    driver.kill()
    driver.communicate()
    case = f"driver killed on {where}" + ", a rank stopped" * stopped
    tally.count(soon(lambda: not living(mine), GONE_S), f"{case}: {living(mine)} still run")
    end_all(mine)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [("gcs_server", r"ray: Ray's head at [\d.]+:\d+ is gone"), ("raylet/raylet", "ray: Ray on this")],
)
@pytest.mark.parametrize("where", ["local", "cluster"])
def test_a_head_that_is_killed_ends_the_run_and_is_named(tmp_path, tally, where, command, said):
    with two_nodes() if where == "cluster" else nullcontext() as nodes:
        driver = start_endless(nodes, tmp_path)
        await_ranks(tmp_path, driver)
        mine = ranks_of(nodes) if nodes else below(driver.pid)
        of_ray = below(nodes._running[0].pid) if nodes else mine
        process = next(process for process in of_ray if command in " ".join(process.cmdline()[:1]))
        process.kill()
        status, text = end_of(driver)
        case = f"{command} killed on {where}"
        tally.count(status == 1, f"{case}: the driver ends with {status}: {text[-500:]}")
        tally.count(any(re.match(said, line) for line in text.splitlines()), f"{case}: said {text[-2000:]}")
        tally.count(soon(lambda: not living(mine), GONE_S), f"{case}: {living(mine)} still run")
        end_all(mine)


def test_what_does_not_answer_three_times_is_said_once(tally, capsys):
    with socket.create_server(("127.0.0.1", 0)) as head, socket.create_server(("127.0.0.1", 0)) as node:
        stop = threading.Event()
        places = {name: place.getsockname() for name, place in (("the head", head), ("the node", node))}
        thread = threading.Thread(target=watch, args=(places, stop, 0.01))
        thread.start()
        time.sleep(0.1)
        tally.count(thread.is_alive(), "it is said though both answer")
        node.close()
        thread.join(30)
        said = capsys.readouterr().err
        advice = "start it again, then run dvc repro to go on from the last checkpoint\n"
        tally.count(said == f"ray: the node is gone, and this run with it; {advice}", f"said {said}")
        stop.set()
