"""MLflow slow, down, restarted, read-only or answering nonsense: training goes on, each point is stored once."""

import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from components.faults import Fault
from components.systems.system import Batch
from components.tracking.live import LiveRun
from components.tracking.record import Point, Record
from components.tracking.run import log_record
from components.tracking.store import open_store
from components.training.group import Group
from components.training.loop import fit
from components.training.progress import Progress
from components.training.trainer import Trainer
from tests.reliability.mlflow_server import Proxy, Server, can_obey
from tests.training.helpers import small_run

ONCE = "13 MLflow slow, down, restarted, read-only: training goes on, each point is stored once"
WRITERS = "14 eight writers, 1,000 figures each, at one server: 8,000 stored"
TERMS = ("generator.adversarial", "generator.l1", "discriminator.adversarial")
FAULTS = ("refused", "lost", "late", "half", "page", "slow")
STRUCK = 30  # calls that may fail, of a delivery
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),  # mlflow's own
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # connections that were cut, found by the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of MLflow tries a call once more without waiting; on a busy machine an answer may take long."""
    settings = {"TIMEOUT": "60", "MAX_RETRIES": "1", "BACKOFF_FACTOR": "0", "BACKOFF_JITTER": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server.start()
    server.end()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server)
    yield proxy
    proxy.release()
    proxy.end()


def value(step: int, name: str) -> float:
    """What a training gives at a step, the same whenever it takes it."""
    return len(name) / (step + 3)


def hand_in(live: LiveRun, steps: range, pause_s: float = 0.004) -> None:
    """What a training hands in: three terms a step."""
    for step in steps:
        live.log(step, {name: value(step, name) for name in TERMS})
        time.sleep(pause_s)


def record(key: str, steps: range) -> Record:
    """What register finds on disk of a training."""
    curves = tuple(Point(f"train/{name}", step, value(step, name)) for step in steps for name in TERMS)
    return Record(key, key, {"train.seed": "0"}, {"pix2pipe.system": "pix2pix"}, curves, {"model/psnr": 20.0}, None, ())


def count_points(tally, server: Server, key: str, steps: range, what: str) -> None:
    """A case for every point that was made: it is stored once, with its value."""
    stored = Counter(row for row in server.rows(key) if row[0] != "model/psnr")
    points = [(f"train/{name}", step, value(step, name)) for step in steps for name in TERMS]
    for point in points:
        tally.count(stored.pop(point, 0) == 1, f"{what}: {point} is not stored once")
    tally.count(not stored, f"{what}: {len(stored)} that were never made are stored, as {next(iter(stored), '')}")


def soon(condition: Callable[[], bool], seconds: float = 300) -> bool:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.promise(ONCE)
@pytest.mark.parametrize(
    ("fault", "seed"),
    [
        ("any", 0),
        *(pytest.param(fault, 0, marks=pytest.mark.slow) for fault in FAULTS),
        *(pytest.param("any", seed, marks=pytest.mark.slow) for seed in range(1, 21)),
    ],
)
def test_calls_that_fail_cost_no_point_and_double_none(server, proxy, tmp_path, tally, fault, seed):
    key, chance, calls, step = f"{fault}-{seed}", random.Random(seed), [0], 1

    def strike(method: str, path: str) -> str:
        calls[0] += 1
        bad = calls[0] <= STRUCK and chance.random() < 0.5
        return chance.choice(FAULTS) if bad and fault == "any" else fault if bad else ""

    proxy.fault = strike
    live = LiveRun(proxy.uri, tmp_path, "faults", key, key, pause_s=0.02).start()
    end = time.monotonic() + 300
    while (
        calls[0] <= STRUCK and live._thread.is_alive() and time.monotonic() < end
    ):  # a call is made for what is handed in; without figures there are none
        hand_in(live, range(step, step + 1), 0.01)
        step += 1
    steps = range(1, step)
    left = live.end(timeout_s=300)
    tally.count(left == 0, f"{key}: {left} left though the server takes all again")
    proxy.release()
    count_points(tally, server, key, steps, key)
    steps = range(1, step + 30)  # the last of them were never handed in
    log_record(open_store(server.uri, tmp_path, "faults"), record(key, steps))
    count_points(tally, server, key, steps, f"{key}, registered")
    tally.count(server.runs(key) == 1, f"{key}: {server.runs(key)} runs")


@pytest.mark.promise(ONCE)
def test_calls_of_a_killed_training_that_arrive_late_are_stored_once(server, proxy, tmp_path, tally):
    """A server that was stopped does what it was told when it goes on: after the sender's death and resume."""
    first = LiveRun(proxy.uri, tmp_path, "faults", "late", "late", pause_s=0.02).start()
    hand_in(first, range(1, 20))
    assert soon(lambda: len(server.rows("late")) >= 3)
    held: list[str] = []

    def hold(method: str, path: str) -> str:
        if path.endswith("log-batch"):
            held.append(path)
            return "late"
        return ""

    proxy.fault = hold
    hand_in(first, range(20, 61))
    assert soon(lambda: len(held) >= 2)
    first.end(timeout_s=300)  # its last calls are held as well
    proxy.fault = lambda method, path: ""
    second = LiveRun(proxy.uri, tmp_path, "faults", "late", "late", pause_s=0.02).start()
    hand_in(second, range(1, 101), 0)
    assert second.end(timeout_s=300) == 0
    tally.count(proxy.release() >= 2, "no call was late")
    count_points(tally, server, "late", range(1, 101), "late calls of a killed training")


@pytest.mark.promise(ONCE)
def test_a_server_that_is_stopped_keeps_nobody_waiting(server, tmp_path, tally, capsys, monkeypatch):
    live = LiveRun(server.uri, tmp_path, "faults", "stopped", "stopped", pause_s=0.02).start()
    hand_in(live, range(1, 10))
    assert soon(lambda: len(server.rows("stopped")) >= 3)
    server.signal(signal.SIGSTOP)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    longest = 0.0
    try:
        for step in range(10, 100):
            began = time.perf_counter()
            hand_in(live, range(step, step + 1), 0)
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.02)
        tally.count(longest < 1, f"a step waited {longest:.2f} s for the server")
        assert soon(lambda: "no live metrics" in capsys.readouterr().err), "nothing was said"
        began = time.perf_counter()
        left = live.end(timeout_s=1)
        tally.count(time.perf_counter() - began < 10, "the end waited for the server")
        tally.count(left > 0 and f"{left} metrics are not delivered" in capsys.readouterr().err, f"{left} left, unsaid")
    finally:
        server.signal(signal.SIGCONT)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    live._thread.join(120)
    log_record(open_store(server.uri, tmp_path, "faults"), record("stopped", range(1, 100)))
    count_points(tally, server, "stopped", range(1, 100), "stopped, then registered")


@pytest.mark.slow
@pytest.mark.promise(ONCE)
def test_a_server_that_is_killed_and_started_again(tmp_path, tally, capsys):
    server = Server(tmp_path).start()
    try:
        live = LiveRun(server.uri, tmp_path, "faults", "killed", "killed", pause_s=0.02).start()
        for kill in range(3):
            hand_in(live, range(1 + 100 * kill, 51 + 100 * kill))
            if kill != 1:  # once it is killed before it was spoken to again
                assert soon(lambda: any(step > 100 * kill for _, step, _ in server.rows("killed")))  # noqa: B023
            server.end()
            hand_in(live, range(51 + 100 * kill, 101 + 100 * kill))
            server.start()
        assert live.end(timeout_s=300) == 0
        count_points(tally, server, "killed", range(1, 301), "killed and started again three times")
        said = capsys.readouterr().err
        tally.count(said.count("no live metrics") == said.count("live metrics again") > 0, f"said: {said}")
    finally:
        server.end()


@pytest.mark.slow
@pytest.mark.promise(ONCE)
@pytest.mark.skipif(not can_obey(), reason="root writes to what is read-only")
def test_a_database_that_turns_read_only(tmp_path, tally, capsys):
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", obeying=True).start()
    try:
        live = LiveRun(server.uri, tmp_path, "faults", "read-only", "read-only", pause_s=0.02).start()
        hand_in(live, range(1, 51))
        assert soon(lambda: len(server.rows("read-only")) >= 3)
        server.folder.chmod(stat.S_IRUSR | stat.S_IXUSR)  # sqlite cannot make its journal
        server.database.chmod(stat.S_IRUSR)
        hand_in(live, range(51, 151))
        tally.count(soon(lambda: "no live metrics" in capsys.readouterr().err), "read-only, and nothing was said")
        frozen = len(server.rows("read-only"))
        with pytest.raises(Fault, match=r"MLflow at http://127.0.0.1"):
            log_record(open_store(server.uri, tmp_path, "faults"), record("read-only", range(1, 201)))
        tally.count(len(server.rows("read-only")) == frozen, "it was not read-only")
        server.folder.chmod(stat.S_IRWXU)
        server.database.chmod(stat.S_IRUSR | stat.S_IWUSR)
        assert live.end(timeout_s=300) == 0
        count_points(tally, server, "read-only", range(1, 151), "read-only for a while")

        def registered() -> bool:  # again and again: connections the server opened while it was read-only stay so
            with suppress(Fault):
                log_record(open_store(server.uri, tmp_path, "faults"), record("read-only", range(1, 201)))
                return True
            return False

        assert soon(registered, 120)
        count_points(tally, server, "read-only", range(1, 201), "read-only for a while, registered")
    finally:
        server.folder.chmod(stat.S_IRWXU)
        server.end()


@pytest.mark.slow
@pytest.mark.promise(ONCE)
def test_a_minute_without_an_answer_costs_no_step_more_than_milliseconds(
    server, tiny_shards, tmp_path, tally, monkeypatch
):
    """The ranks are in the driver's own process, where the thread that delivers shares the interpreter with the steps.

    Steps are compared of one run: by turns the figures are followed and handed in, to a server that is stopped, or not.
    """
    run = small_run(tiny_shards, tmp_path, steps=10_000, checkpoint_every=10_000)
    live = LiveRun(server.uri, tmp_path, "faults", run.key, "stall", pause_s=0.5).start()
    assert soon(lambda: server.runs(run.key) == 1)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    stalled, began, take = [False], [0.0], Trainer.step

    class Enough(BaseException):
        """Ends the training."""

    def timed(self: Trainer, index: int, batch: Batch) -> None:
        now = time.perf_counter()
        if index > 10:
            seconds[stalled[0]].append(now - began[0])
        if index in (50, 100, 150):  # and stopped until the end
            server.signal(signal.SIGCONT if stalled[0] else signal.SIGSTOP)
            stalled[0] = not stalled[0]
        if index == 500:
            raise Enough
        time.sleep(0.15)  # so that the stall lasts a minute with few steps
        began[0] = time.perf_counter()
        take(self, index, batch)

    monkeypatch.setattr(Trainer, "step", timed)
    try:
        with pytest.raises(Enough), Progress(run, "stall", live.log):
            fit(run, Group())
    finally:
        server.signal(signal.SIGCONT)
    assert live.end(timeout_s=300) == 0
    without, within = (sorted(seconds[key]) for key in (False, True))
    middle = [1000 * part[len(part) // 2] for part in (without, within)]
    high = [1000 * part[len(part) * 99 // 100] for part in (without, within)]
    print(f"ms a step, median and 99 of 100: {middle[0]:.1f} {high[0]:.1f}; stalled {middle[1]:.1f} {high[1]:.1f}")  # noqa: T201
    tally.count(middle[1] - middle[0] < 5, f"a step takes {middle[1]:.1f} ms in a stall, {middle[0]:.1f} else")
    tally.count(within[-1] < 1, f"a step took {within[-1]:.2f} s in a stall")
    stored = Counter(step for name, step, _ in server.rows(run.key) if name == "train/generator.l1")
    tally.count(stored == Counter(range(1, 501)), "the figures of the stall were not delivered once each")


@pytest.mark.promise(WRITERS)
def test_eight_writers_lose_nothing(server, tmp_path, tally):
    """Threads, each with a client and a folder of its own, as on eight machines; the experiment is new."""
    writers = [LiveRun(server.uri, tmp_path / str(i), "writers", f"writer-{i}", str(i), pause_s=0.02) for i in range(8)]
    for writer in writers:
        writer.start()

    def write(writer: LiveRun) -> None:
        for step in range(250):
            writer.log(step, {f"figure_{k}": step + k / 8 for k in range(4)})

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = [writer.end(timeout_s=300) for writer in writers]
    count_writers(tally, server, "writer", f"left {left}")


@pytest.mark.slow
@pytest.mark.promise(WRITERS)
def test_eight_processes_at_a_new_server_lose_nothing(tmp_path, tally):
    code = """
        import sys
        from pathlib import Path
        from components.tracking.live import LiveRun

        i, uri, home = sys.argv[1:]
        live = LiveRun(uri, Path(home, i), "writers", f"process-{i}", i, pause_s=0.1).start()
        for step in range(250):
            live.log(step, {f"figure_{k}": step + k / 8 for k in range(4)})
        sys.exit(live.end(timeout_s=240))
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
    server = Server(tmp_path).start()
    try:
        command = [sys.executable, "-c", textwrap.dedent(code)]
        processes = [subprocess.Popen([*command, str(i), server.uri, str(tmp_path)], env=environment) for i in range(8)]
        status = [process.wait(300) for process in processes]
        tally.count(status == [0] * 8, f"the writers ended with {status}")
        count_writers(tally, server, "process", "processes")
    finally:
        server.end()


def count_writers(tally, server: Server, name: str, what: str) -> None:
    """A case for each of the 8,000 figures."""
    for i in range(8):
        stored = Counter(server.rows(f"{name}-{i}"))
        for step in range(250):
            for k in range(4):
                point = (f"train/figure_{k}", step, step + k / 8)
                tally.count(stored[point] == 1, f"{what}: {point} of {name} {i} is stored {stored[point]} times")
        tally.count(sum(stored.values()) == 1000, f"{what}: {sum(stored.values())} rows of {name} {i}")
