"""Runs as parallel tasks of a real Ray on this machine."""

import time

import pytest
import torch

from components.cluster.spread import is_finished, spread
from components.faults import Fault
from components.training import log
from components.training.group import Group
from components.training.loop import fit
from tests.training.helpers import small_run, weights_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # ray leaves sockets and processes to the interpreter's end
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),  # its own deprecations
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the same sockets, collected
]


def test_runs_are_trained_beside_each_other_and_one_that_fails_ends_no_other(tiny_shards, tmp_path):
    runs = {
        "new": small_run(tiny_shards, tmp_path, seed=1),
        "half": small_run(tiny_shards, tmp_path, seed=2),
        "done": small_run(tiny_shards, tmp_path, seed=3),
        "huge": small_run(tiny_shards, tmp_path, learning_rate=1e30),
    }
    alone = small_run(tiny_shards, tmp_path / "alone", seed=2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as spread gives each run: sums in another order are other weights
    fit(runs["half"], Group(), until=3)
    for run in (runs["done"], alone):
        fit(run, Group())
    torch.set_num_threads(threads)
    heard: dict[str, str] = {}
    with pytest.raises(Fault, match=r"1 of 3 runs failed, huge first: .*is not finite.*; the others are finished"):
        spread(runs, 1, heard.__setitem__)
    assert heard.keys() == {"new", "half", "huge"}
    assert heard["new"] == heard["half"] == "done"
    assert all(is_finished(runs[name]) for name in ("new", "half", "done"))
    assert not is_finished(runs["huge"])
    steps = [record["step"] for record in log.read(runs["half"].folder) if "terms" in record]
    assert steps == list(range(1, 7))  # it went on from step 3
    a, b = weights_of(runs["half"]), weights_of(alone)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_finished_runs_need_no_ray_and_too_many_cpus_are_refused(tiny_shards, tmp_path):
    run = small_run(tiny_shards, tmp_path)
    with pytest.raises(Fault, match="--cpus 4096: the whole cluster has"):
        spread({"one": run}, 4096, lambda *_: None)
    fit(run, Group())
    began = time.perf_counter()
    spread({"one": run}, 4096, lambda *_: None)
    assert time.perf_counter() - began < 1
