"""The table counts what it is told, and a broken promise fails its test."""

import json

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


def test_a_broken_promise_fails_and_is_in_the_table(pytester, request):
    pytester.makeconftest(request.path.with_name("conftest.py").read_text())
    pytester.makepyfile(TEST)
    pytester.makeini("[pytest]\nmarkers = promise: what must hold")
    result = pytester.runpytest_inprocess("--figures", str(pytester.path / "out"))
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*1 of 2 lost: ?'the second'?*", "*no case was tried*"])
    rows = json.loads((pytester.path / "out/reliability.json").read_text())
    assert [(row["promise"], row["tried"], row["survived"]) for row in rows] == [
        ("10 broken", 2, 1),
        ("2 kept", 2, 2),
        ("3 never tried", 0, 0),
    ]
    table = (pytester.path / "out/reliability.md").read_text().splitlines()
    assert table[2:] == ["| 2 kept | 2 | 2 | 0 |", "| 3 never tried | 0 | 0 | 0 |", "| 10 broken | 2 | 1 | 1 |"]
