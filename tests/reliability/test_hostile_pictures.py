"""Broken and hostile pictures: each is accepted or refused by name, in bounded memory, and the process lives on."""

import json
import subprocess
import sys

import pytest

from tests.reliability.mutants import bombs, seeds

PROMISE = pytest.mark.promise("3 broken and hostile pictures: accepted or refused by name, under 512 MB")
MOST = 512 * 2**20


def outcomes(*words):
    """What `mutants` found, in a process of its own."""
    command = [sys.executable, "-m", "tests.reliability.mutants", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, check=False)
    assert done.returncode == 0, f"the process died with {done.returncode}: {done.stderr[-500:]}"
    return json.loads(done.stdout)


def counted(tally, told, tried):
    """Count the cases of one process; gives the number accepted and refused."""
    for name, what in told["crashed"]:
        tally.count(False, f"{name}: {what}")
    accepted, refused = len(told["accepted"]), len(told["refused"])
    for _ in range(accepted + refused):
        tally.count(True, "")
    tally.count(accepted + refused + len(told["crashed"]) == tried, f"{tried} tried, {accepted} + {refused} are told")
    tally.count(told["peak"] < MOST, f"{told['peak']:,} bytes of memory")
    return accepted, refused


@PROMISE
def test_mutants(tally):
    accepted, refused = counted(tally, outcomes(0, 700), 700)
    assert min(accepted, refused) > 150


@PROMISE
@pytest.mark.slow
def test_many_mutants(tally):
    accepted, refused = counted(tally, outcomes(1000, 20_000), 20_000)
    assert min(accepted, refused) > 4000


@PROMISE
def test_the_seeds_are_what_they_are_called(tmp_path, tally):
    for name, data in seeds().items():
        (tmp_path / name).write_bytes(data)
    told = outcomes(tmp_path)
    counted(tally, told, len(seeds()))
    not_read = {name for name in seeds() if name.startswith("other")} | {"tiff-LAB", "tiff-F", "tiff-I"}
    assert set(told["refused"]) == not_read


@PROMISE
@pytest.mark.slow
def test_bombs_take_no_more_memory_than_that(tmp_path, tally):
    for name, data in bombs().items():
        (tmp_path / name).write_bytes(data)
    told = outcomes(tmp_path)
    counted(tally, told, len(bombs()))
    # As large as is let through, and still in bounds; all that says more is refused.
    assert [name for name in told["accepted"] if "too large" in name or "says" in name or "with" in name] == []
    assert len(told["accepted"]) == 8
