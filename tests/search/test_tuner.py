"""Searches through a real Ray Tune on this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.cluster.tuner import search
from components.search.ledger import Ledger, Trial
from components.search.outcome import find_winner
from components.training import log
from tests.search.helpers import DEADLY, HUGE, small_search

ROOT = Path(__file__).parent.parent.parent
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # ray leaves sockets and processes to the interpreter's end
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),  # its own deprecations
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the same sockets, collected
]


def test_trials_that_break_or_die_are_failed_and_never_best_and_the_others_go_on(tiny_shards, tmp_path):
    rates = {"train.learning_rate": {"choice": [HUGE, DEADLY, 1e-2, 1e-3]}}
    work = small_search(
        tiny_shards,
        tmp_path,
        space=rates,
        num_trials=4,
        sampler="grid",
        start=False,
        max_concurrent=1,
        scheduler="none",
    )
    heard: list[Trial] = []
    search(work, heard.append)
    by_rate = {trial.values["train.learning_rate"]: trial for trial in work.ledger.all()}
    assert len(heard) == len(by_rate) == 4
    assert by_rate[HUGE].state == "failed"
    assert "is not finite" in by_rate[HUGE].reason
    assert "\n" not in by_rate[HUGE].reason
    assert by_rate[DEADLY].state == "failed"
    assert "its process died" in by_rate[DEADLY].reason
    assert by_rate[1e-2].state == by_rate[1e-3].state == "finished"
    winner = find_winner(work.config, work.ledger.all(), less_is_better=True)
    assert winner.number == by_rate[1e-2].number
    assert winner.value == by_rate[1e-2].value < by_rate[1e-3].value


def test_asha_prunes_on_the_steps_of_the_run_and_seeds_decide_among_finalists(tiny_shards, tmp_path):
    work = small_search(tiny_shards, tmp_path, num_trials=6, num_seeds=2, finalists=2)
    search(work, lambda _: None)
    trials = work.ledger.trials()
    assert [trial.number for trial in trials] == list(range(6))
    assert trials[0].values == work.start
    assert {trial.state for trial in trials} == {"finished", "pruned"}
    for trial in trials:
        run = work.make_run(trial.values, 0)
        # Nothing was trained beyond the rung at which a trial ended, and no step twice.
        assert [r["step"] for r in log.read(run.folder) if "terms" in r] == list(range(1, trial.steps + 1))
        assert trial.steps in ((8,) if trial.state == "finished" else (2, 4))
    repeats = [trial for trial in work.ledger.all() if trial.repeat]
    finished = sorted((t for t in trials if t.state == "finished"), key=lambda t: t.rungs[-1].value)
    assert sorted(t.number for t in repeats) == sorted(t.number for t in finished[:2])
    assert all(trial.state == "finished" and trial.steps == 8 for trial in repeats)
    assert all(trial.value != work.ledger.get(trial.number).value for trial in repeats)
    assert find_winner(work.config, work.ledger.all(), less_is_better=True).seeds == 2


def test_a_killed_search_goes_on_and_ends_with_exactly_its_trials(tiny_shards, tmp_path):
    script = (
        "import sys; from pathlib import Path; from components.cluster.tuner import search; "
        "from tests.search.helpers import small_search; "
        f"work = small_search(Path({str(tiny_shards)!r}), Path({str(tmp_path)!r}), num_trials=8, max_steps=64, "
        "grace_steps=16); search(work, lambda trial: print(trial.number, flush=True))"
    )

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    ledger, process = Ledger(tmp_path / "trials"), start()
    ended: list[Trial] = []
    deadline = time.time() + 180
    while len(ended) < 3 or not any(trial.state == "running" for trial in ledger.all()):
        assert time.time() < deadline
        assert process.poll() is None, "the search ended before it was killed"
        time.sleep(0.02)
        ended = [trial for trial in ledger.all() if trial.state != "running"]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    known = {trial.number: trial for trial in ledger.all()}
    output, _ = start().communicate(timeout=300)
    trials = ledger.all()
    assert [trial.number for trial in trials] == list(range(8))
    assert all(trial.state in ("finished", "pruned") for trial in trials)
    assert len({tuple(trial.values.items()) for trial in trials}) == 8
    before = {number for number, trial in known.items() if trial.state != "running"}
    assert {int(number) for number in output.split()} == set(range(8)) - before
    for number, trial in known.items():
        assert trials[number].values == trial.values
        if trial.state != "running":
            assert trials[number] == trial
        assert trials[number].rungs[: len(trial.rungs)] == trial.rungs
    for trial in trials:
        steps = [
            r["step"]
            for r in log.read(small_search(tiny_shards, tmp_path, max_steps=64).make_run(trial.values, 0).folder)
        ]
        assert steps == sorted(steps)
    assert (
        search(small_search(tiny_shards, tmp_path, num_trials=8, max_steps=64, grace_steps=16), lambda _: None) == 0.0
    )


@pytest.mark.slow
def test_trials_of_two_workers_train_through_ray_train(tiny_shards, tmp_path):
    work = small_search(tiny_shards, tmp_path, num_trials=2, num_workers=2, max_concurrent=1)
    search(work, lambda _: None)
    assert {trial.state for trial in work.ledger.all()} <= {"finished", "pruned"}
    assert work.ledger.get(0).steps == 8
