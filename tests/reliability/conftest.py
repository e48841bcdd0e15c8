"""Tallies of faults tried and survived; `make reliability` prints and writes them as one table."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
    _add(request.config, mine)
    assert mine.tried, "no case was tried"
    assert not mine.lost, f"{len(mine.lost)} of {mine.tried} lost: {mine.lost[:5]}"


def _add(config: pytest.Config, tally: Tally) -> None:
    whole = config.stash.setdefault(TALLIES, {}).setdefault(tally.promise, Tally(tally.promise))
    whole.tried += tally.tried
    whole.lost += tally.lost


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--figures FOLDER`: where the table is written, as reliability.md and reliability.json."""
    parser.addoption("--figures", type=Path, help="write the table of reliability into this folder")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table; a worker of pytest-xdist hands its part to the process that began it."""
    folder, tallies = session.config.getoption("--figures", default=None), session.config.stash.get(TALLIES, {})
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tallies"] = [asdict(tally) for tally in tallies.values()]
        return
    if folder is None or not tallies:
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reliability.md").write_text(table(tallies))
    rows = [asdict(tally) | {"survived": tally.tried - len(tally.lost)} for _, tally in sorted(tallies.items())]
    (folder / "reliability.json").write_text(json.dumps(rows, indent=2) + "\n")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Take a worker's part; one that died has none, and its test has failed."""
    for tally in getattr(node, "workeroutput", {}).get("tallies", []):
        _add(node.config, Tally(**tally))


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
