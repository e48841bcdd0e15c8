"""Ranks on two nodes, ranks that hang, and a disk that is not shared."""

import re
import time
from pathlib import Path

import pytest
import torch

from components.storage.files import read_json
from tests.cluster.drive import drive, start
from tests.cluster.nodes import Nodes
from tests.training.helpers import small_run, weights_of
from tests.training.test_parallel import fit_on

TWO = {"num_workers": 2, "device": "cpu", "cpus_per_worker": 1}


def test_two_nodes_train_the_weights_of_one(two_nodes, tiny_shards, tmp_path):
    train = TWO | {"steps": 4, "checkpoint_every": 2, "placement": "STRICT_SPREAD"}
    one = fit_on(small_run(tiny_shards, tmp_path / "one", **train), 2)
    status, said = drive(two_nodes.address, folder=str(tmp_path), shards=str(tiny_shards), train=train)
    assert status == 0, said
    assert "train: 2 ranks on 2 nodes: " in said
    run = small_run(tiny_shards, tmp_path, **train)
    ranks = read_json(run.folder / "ranks.json")["ranks"]
    assert [rank["rank"] for rank in ranks] == [0, 1]
    assert len({rank["node_id"] for rank in ranks}) == 2
    two = weights_of(run)
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_rank_that_hangs_in_python_ends_the_run_by_name(two_nodes, tmp_path):
    status, said = drive(two_nodes.address, folder=str(tmp_path), function="sleeps", timeout_s=6)
    assert status == 1, said
    last = said.splitlines()[-1]
    pid = (tmp_path / "mishap").read_text()
    assert re.fullmatch(
        rf"rank 1 \(node [\d.]+, pid {pid}\) hangs at step 40 in functions\.py:\d+ \(<lambda>\) for \d+ s; "
        r"train\.timeout_s is 6",
        last,
    ), said
    assert not Path("/proc", pid).exists()


@pytest.mark.slow
def test_a_rank_that_was_stopped_is_named_and_killed_and_the_run_goes_on(two_nodes, tmp_path):
    status, said = drive(two_nodes.address, folder=str(tmp_path), function="stops", timeout_s=6, max_failures=1)
    assert status == 0, said
    pid = (tmp_path / "mishap").read_text()
    assert re.search(rf"workers: rank 1 \(node [\d.]+, pid {pid}\) does not answer; it was last heard of at", said)
    assert "going on from the last checkpoint (failure 1; train.max_failures is 1)" in said
    assert (tmp_path / "done").exists()
    assert not Path("/proc", pid).exists()


def test_a_disk_of_the_nodes_own_is_refused_before_the_first_step(two_nodes, tiny_shards):
    if two_nodes.foreign is None:
        pytest.skip("only root may give a process a file system of its own")
    train = TWO | {"steps": 4, "placement": "STRICT_SPREAD"}
    run = small_run(tiny_shards, two_nodes.foreign, **train)
    status, said = drive(two_nodes.address, folder=str(two_nodes.foreign), shards=str(tiny_shards), train=train)
    assert status == 1
    assert re.fullmatch(
        rf"rank [01] \(node [\d.]+\) sees nothing at {run.folder}/probe\.json, so its folder is not shared; "
        r"set PIX2PIPE_ROOT to a folder that all nodes share or to s3://bucket/prefix",
        said.splitlines()[-1],
    ), said
    assert {file.name for file in run.folder.iterdir()} == {"probe.json", "ranks.json", "run.lock"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("waits_for_data", r"^rank 0 \(.*\) hangs at step 0 in functions\.py:\d+ \(waits_for_data\) for \d+ s; train"),
        ("all_sleep", r"^rank 0 \(.*\) hangs at step 3 in functions\.py.*; rank 1 \(.*\) hangs at step 3 in "),
        ("breaks", r"^rank 1 \(.*\) failed: ZeroDivisionError: a bug$"),
        ("dies", r"^rank 1 \(.*\) died at step \d+"),
    ],
)
def test_whoever_is_at_fault_is_named(two_nodes, tmp_path, function, named):
    status, said = drive(two_nodes.address, folder=str(tmp_path), function=function, timeout_s=6)
    assert status == 1
    assert re.search(named, said.splitlines()[-1]), said


@pytest.mark.slow
def test_a_killed_node_is_survived_with_the_weights_of_no_kill(tiny_shards, tmp_path):
    train = TWO | {"steps": 60, "checkpoint_every": 10, "placement": "STRICT_SPREAD", "timeout_s": 60}
    runs = [small_run(tiny_shards, tmp_path / name, **train) for name in ("whole", "cut")]
    with Nodes() as nodes:
        other = nodes.join()
        nodes.await_nodes(2)
        for run in runs:
            driver = start(nodes.address, folder=str(run.folder.parent), shards=str(tiny_shards), train=train)
            if run is runs[1]:
                while not (last := run.checkpoints.last()) or last.step < 20:
                    time.sleep(0.05)
                nodes.kill(other)
                nodes.join()
            _, said = driver.communicate(timeout=300)
            assert driver.returncode == 0, said
    assert "going on from the last checkpoint (failure 1;" in said
    a, b = (weights_of(run) for run in runs)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_room_that_is_not_there_is_said_at_once(two_nodes, tmp_path):
    what = {"folder": str(tmp_path), "function": "sleeps", "timeout_s": 6}
    status, said = drive(two_nodes.address, cpus=3, **what)
    assert status == 1
    assert re.search(r"STRICT_SPREAD needs 2 nodes of 3 free CPUs; there are 2 nodes \(.*: 2 CPUs, ", said)
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
