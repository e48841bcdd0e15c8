"""The study on the report page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.pages.figures import Bar
from components.storage.files import read_json
from components.study.result import FIGURE


@dataclass(frozen=True)
class ResultRow:
    """One algorithm: its bar on a scale from 0 to 100, None where nobody has finished; and who took part."""

    name: str
    bar: Bar | None
    std: str
    participants: int
    set_aside: int
    incomplete: int


@dataclass(frozen=True)
class View:
    """What the report says of a study."""

    protocol: dict[str, Any]
    rows: list[ResultRow]
    exposure: dict[str, float] | None


def view_study(file: Path | None) -> View | None:
    """Read what `pix2pipe study result` wrote; None where no study has been held.

    Raises:
        Fault: the file is not JSON.
    """
    result = read_json(file) if file is not None and file.exists() else {}
    if not result.get("algorithms"):
        return None
    rows = [_row(name, row) for name, row in result["algorithms"].items()]
    return View(result["protocol"], rows, result.get("exposure_ms"))


def _row(name: str, row: dict[str, Any]) -> ResultRow:
    figure = row.get(FIGURE)
    counts = (row["participants"], row["set_aside"], row["incomplete"])
    if figure is None:
        return ResultRow(name, None, "", *counts)
    value, low, high = (float(figure[end]) for end in ("value", "low", "high"))
    about = f"generated pictures of {name} taken for real"
    bar = Bar(
        name, name, about, f"{value:.1f} %", f"{low:.1f} to {high:.1f} %", value, low, high, str(figure.get("note", ""))
    )
    return ResultRow(name, bar, f"{figure['std']:.1f}", *counts)
