"""A clock that is set while a run goes on changes no span, no speed and no weight."""

import itertools
import json
import time
from collections.abc import Callable, Iterator

import pytest
import tqdm.std

from components.cluster import watch
from components.cluster.rank import RankReport
from components.cluster.workers import Workers
from components.pages.times import read_times
from components.stage import Clock
from components.storage.files import read_json
from components.training import log
from components.training.group import Group
from components.training.loop import fit
from components.training.progress import Progress
from tests.reliability.test_signals import same
from tests.training.helpers import small_run

PROMISE = "20 the clock set back or far ahead in a run: spans, speeds and weights stay what they are"
DAY, YEAR = 86_400.0, 31_557_600.0
NOW = time.time()  # the true one, before any test
Jumps = Callable[[], Iterator[float]]

CLOCKS: dict[str, Jumps] = {
    "set back by a day": lambda: itertools.chain([0.0], itertools.repeat(-DAY)),
    "set back by 20 years, later": lambda: itertools.chain([0.0] * 5, itertools.repeat(-20 * YEAR)),
    "set ahead by 10 years": lambda: itertools.chain([0.0], itertools.repeat(10 * YEAR)),
    "runs backwards": lambda: (-float(tick) for tick in itertools.count()),
    "to and fro": lambda: itertools.cycle([0.0, YEAR, -YEAR]),
    "stands still": lambda: itertools.repeat(NOW - time.monotonic()),
}


@pytest.fixture(params=CLOCKS)
def jumps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A clock of the machine that jumps at each look; its name."""
    offsets, true = CLOCKS[request.param](), time.time
    monkeypatch.setattr(time, "time", lambda: true() + next(offsets))
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))
    monkeypatch.setattr(tqdm.std, "time", lambda: time.time())
    return str(request.param)


@pytest.mark.promise(PROMISE)
def test_a_training_and_its_figures(tiny_shards, tmp_path, tally, jumps, monkeypatch):
    settings = {"steps": 6, "log_every": 1}
    began = time.perf_counter()
    clock, run = Clock("train"), small_run(tiny_shards, tmp_path / "jumps", **settings)
    with Progress(run, "train"), clock.part("train"):
        Workers.of(run).run(fit, run)
    clock.merge(run.folder / "throughput.json")
    clock.save(tmp_path)
    spent = time.perf_counter() - began
    monkeypatch.undo()
    timing, figures = read_json(tmp_path / "train.json"), read_json(run.folder / "throughput.json")
    span = timing["ended"] - timing["started"]
    tally.count(timing["parts"]["train"] <= span + 1e-3 <= spent + 2e-3, f"{jumps}: the stage took {span} of {spent} s")
    seconds = figures["seconds"]
    tally.count(all(0 <= value <= spent for value in seconds.values()), f"{jumps}: {seconds}")
    rates = [record["images_per_second"] for record in log.read(run.folder) if "terms" in record]
    tally.count(len(rates) == 6 and all(rate >= 4 / spent for rate in rates), f"{jumps}: {rates}")
    times = read_times(tmp_path, ("train",))
    tally.count(0 < times.wall <= spent + 1e-3 and 0 <= times.orchestration <= 1, f"{jumps}: {times}")
    other = small_run(tiny_shards, tmp_path / "true", **settings)
    fit(other, Group())
    tally.count(same(run, other), f"{jumps}: other weights or curves")


@pytest.mark.promise(PROMISE)
def test_a_rank_is_taken_for_hung_by_no_clock_but_the_monotonic_one(tally, jumps, monkeypatch):
    steady = itertools.count(1000.0, 0.5)
    monkeypatch.setattr(time, "monotonic", lambda: next(steady))
    watched = watch._Watched(worker=None)
    for step in range(20):
        watched.sign, watched.heard = RankReport(step, 0.25, "loop.py:62 (fit)", waits=False), time.monotonic()
        tally.count(watched.idle == 0.75, f"{jumps}: idle for {watched.idle} s")


def test_gaps_between_stages_that_no_clock_can_have_are_not_counted(tmp_path):
    """Stages are processes of their own, so the time between them is the machine's clock and nothing else."""
    for stage, started in {"fetch": NOW, "shard": NOW - DAY, "judge": NOW + YEAR}.items():
        timing = {"stage": stage, "started": started, "ended": started + 5, "parts": {}}
        (tmp_path / f"{stage}.json").write_text(json.dumps(timing))
    times = read_times(tmp_path, ())
    assert times.between == 0
    assert times.wall == pytest.approx(15)
