"""Tallies of faults tried and survived; `make reliability` prints and writes them as one table."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

TALLIES = pytest.StashKey[dict[str, "Tally"]]()


@dataclass
class Tally:
    """How often a promise was put to the test, and what broke it."""

    promise: str
    tried: int = 0
    lost: list[str] = field(default_factory=list)

    def count(self, held: bool, what: str) -> None:
        """One case: did the promise hold, and what the case was, should it not have."""
        self.tried += 1
        if not held:
            self.lost.append(what)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Of the test's `promise` mark; the test fails after its last case if the promise was broken, or never tried."""
    promise = request.node.get_closest_marker("promise").args[0]
    mine = Tally(promise)
    yield mine
    of_all = request.config.stash.setdefault(TALLIES, {})
    whole = of_all.setdefault(promise, Tally(promise))
    whole.tried += mine.tried
    whole.lost += mine.lost
    assert mine.tried, "no case was tried"
    assert not mine.lost, f"{len(mine.lost)} of {mine.tried} lost: {mine.lost[:5]}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--figures FOLDER`: where the table is written, as reliability.md and reliability.json."""
    parser.addoption("--figures", type=Path, help="write the table of reliability into this folder")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table."""
    folder, tallies = session.config.getoption("--figures", default=None), session.config.stash.get(TALLIES, {})
    if folder is None or not tallies:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reliability.md").write_text(table(tallies))
    rows = [asdict(tally) | {"survived": tally.tried - len(tally.lost)} for _, tally in sorted(tallies.items())]
    (folder / "reliability.json").write_text(json.dumps(rows, indent=2) + "\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table where it is asked for."""
    tallies = config.stash.get(TALLIES, {})
    if config.getoption("--figures", default=None) is not None and tallies:
        terminalreporter.write_line("")
        terminalreporter.write_line(table(tallies))


def table(tallies: dict[str, Tally]) -> str:
    """Markdown, a row a promise, in the order of their numbers."""
    lines = ["| fault or attack | tried | survived | lost |", "| --- | ---: | ---: | ---: |"]
    for promise, tally in sorted(tallies.items(), key=lambda item: int(item[0].split()[0])):
        lost = len(tally.lost)
        lines.append(f"| {promise} | {tally.tried:,} | {tally.tried - lost:,} | {lost:,} |")
    return "\n".join(lines) + "\n"
