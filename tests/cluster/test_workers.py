"""Ranks through a real Ray on this machine."""

import os
import re
import signal
import threading
import time

import pytest
import torch

from components.cluster.workers import Workers
from components.faults import Fault
from components.storage.files import read_json
from components.training import log
from components.training.loop import fit
from tests.training.helpers import small_run, weights_of

RAY_WARNINGS = pytest.mark.filterwarnings(
    "ignore::ResourceWarning",  # ray leaves sockets and processes to the interpreter's end
    "ignore::FutureWarning:ray",  # its own deprecations
    "ignore::DeprecationWarning:ray",
    "ignore::pytest.PytestUnraisableExceptionWarning",  # the same sockets, found by the collector
)


def test_an_address_that_nobody_answers_is_one_line_in_seconds(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    began = time.perf_counter()
    with pytest.raises(Fault, match=r"RAY_ADDRESS=127\.0\.0\.1:9: nobody answers"):
        Workers(2, "cpu", tmp_path).run(fit, None)
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(("address", "said"), [("http://head:8265", "give host:port"), ("head", "not host:port")])
def test_an_address_of_the_wrong_kind_is_said(monkeypatch, tmp_path, address, said):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(Fault, match=said):
        Workers(2, "cpu", tmp_path).run(fit, None)


def test_a_gpu_that_is_not_there_is_said(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(Fault, match="no CUDA device"):
        Workers(0, "cuda", tmp_path).run(fit, None)


@RAY_WARNINGS
def test_two_workers_train_and_their_fault_reaches_the_driver(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path, num_workers=2, steps=4, checkpoint_every=2)
    seconds = Workers(2, "cpu", run.folder).run(fit, run)
    assert run.checkpoints.last().step == 4
    assert seconds > 0
    assert [r["step"] for r in log.read(run.folder) if "terms" in r] == [1, 2, 3, 4]
    bad = small_run(tiny_shards, tmp_path, num_workers=2, learning_rate=1e30, steps=30)
    with pytest.raises(Fault, match="is not finite"):
        Workers(2, "cpu", bad.folder).run(fit, bad)


@RAY_WARNINGS
def test_more_workers_than_the_machine_has_is_said(tiny_shards, tmp_path):
    with pytest.raises(Fault, match="needs as many CPUs; the cluster offers"):
        Workers(512, "cpu", tmp_path).run(fit, None)


@pytest.mark.slow
@RAY_WARNINGS
def test_a_killed_worker_is_replaced_and_the_weights_are_those_of_no_kill(tiny_shards, tmp_path, capfd):
    whole, cut = (
        small_run(tiny_shards, tmp_path / name, num_workers=2, steps=60, checkpoint_every=10)
        for name in ("whole", "cut")
    )
    Workers(2, "cpu", whole.folder).run(fit, whole)
    killed: list[int] = []

    def kill_one() -> None:
        while not (last := cut.checkpoints.last()) or last.step < 20:
            time.sleep(0.05)
        killed.append(read_json(cut.folder / "ranks.json")["ranks"][1]["pid"])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    Workers(2, "cpu", cut.folder, max_failures=2).run(fit, cut)
    killer.join()
    assert re.search(rf"rank 1 \(node [\d.]+, pid {killed[0]}\) died at step \d+", capfd.readouterr().err)
    a, b = weights_of(whole), weights_of(cut)
    assert all(torch.equal(a[key], b[key]) for key in a)
