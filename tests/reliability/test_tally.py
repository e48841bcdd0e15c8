"""The table counts what it is told, and a broken promise fails its test."""

import json

import pytest

pytest_plugins = ["pytester"]

TEST = """
import pytest

@pytest.mark.promise("2 kept")
def test_kept(tally):
    tally.count(True, "a")
    tally.count(True, "b")

@pytest.mark.promise("10 broken")
def test_broken(tally):
    tally.count(True, "a")
    tally.count(False, "the second")

@pytest.mark.promise("3 never tried")
def test_never_tried(tally):
    pass
"""


ALSO_KEPT = """
import pytest

@pytest.mark.promise("2 kept")
def test_kept(tally):
    tally.count(True, "c")
"""


@pytest.mark.parametrize("processes", [(), ("--numprocesses", "2", "--dist", "loadfile")], ids=("one", "two"))
def test_a_broken_promise_fails_and_is_in_the_table(pytester, request, processes):
    pytester.makeconftest(request.path.with_name("conftest.py").read_text())
    pytester.makepyfile(test_a=TEST, test_b=ALSO_KEPT)
    pytester.makeini("[pytest]\nmarkers = promise: what must hold")
    result = pytester.runpytest_subprocess("--figures", str(pytester.path / "out"), *processes)
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines(["*1 of 2 lost: ?'the second'?*", "*no case was tried*"])
    rows = json.loads((pytester.path / "out/reliability.json").read_text())
    assert [(row["promise"], row["tried"], row["survived"]) for row in rows] == [
        ("10 broken", 2, 1),
        ("2 kept", 3, 3),
        ("3 never tried", 0, 0),
    ]
    table = (pytester.path / "out/reliability.md").read_text().splitlines()
    assert table[2:] == ["| 2 kept | 3 | 3 | 0 |", "| 3 never tried | 0 | 0 | 0 |", "| 10 broken | 2 | 1 | 1 |"]
