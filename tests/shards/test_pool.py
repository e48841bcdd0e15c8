"""The pool: order kept, little held, death noticed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.faults import Fault
from components.shards.pool import ordered_map


def slow_square(shared, item):
    time.sleep(0.02 if item % 3 == 0 else 0)
    return shared + item * item


def die(shared, item):
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_order_is_kept(workers):
    assert list(ordered_map(slow_square, 1000, range(30), workers)) == [1000 + i * i for i in range(30)]


def test_items_are_taken_as_results_are(monkeypatch):
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    results = ordered_map(slow_square, 0, items(), 2)
    next(results)
    assert len(taken) <= 6
    results.close()


def test_a_killed_process_is_one_line():
    with pytest.raises(Fault, match="was killed"):
        list(ordered_map(die, None, range(20), 2))


PROGRAM = """
import sys, time
from components.shards.pool import ordered_map
def wait(shared, item):
    time.sleep(0.2)
    return item
for item in ordered_map(wait, None, range(10_000), 3):
    print(item, flush=True)
"""


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_process_outlives_a_killed_parent():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        pool = children(parent.pid)
        assert len(pool) == 3
        parent.kill()
    for _ in range(100):
        alive = [pid for pid in pool if Path(f"/proc/{pid}").exists()]
        if not alive:
            return
        time.sleep(0.05)
    assert not alive
