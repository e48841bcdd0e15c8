"""A thousand params files that somebody has spoilt: taken, or refused in one line, soon."""

import pytest

from tests.test_early import fuzz


@pytest.mark.slow
@pytest.mark.promise("28 spoilt params files: taken or one line of at most 300 letters within ten seconds")
def test_a_thousand_mutants_of_params(tally, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, wrong in enumerate(fuzz(1000, 1, tmp_path)):
        tally.count(not wrong, f"{number}: {wrong}")
