"""A table as Markdown, as JSON and as a sheet of pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from components.tables.compare import Estimate
from components.tables.config import BEST
from components.tables.table import Line, Table, TableRow

_TITLES = {
    "kl": "KL",
    "js": "JS",
    "pixel_accuracy": "pixel accuracy",
    "class_accuracy": "class accuracy",
    "class_iou": "class IoU",
    "efficientnet_lite0": "EfficientNet-Lite0",
}
_WORDS = {"fcn": "FCN", "labels": "labels'", "fid": "FID", "kid": "KID", "l1": "L1", "psnr": "PSNR", "ssim": "SSIM"}
_METHOD = (
    "In brackets: the first row's mean less the second's with its 95 % interval, which is the narrower of that by "
    "pairs of equal seeds and that by two rows of seeds, both widened because there are two; and p, corrected for all "
    "orderings of the table (Holm). An ordering is told where p is below 0.05."
)
_TEXT, _MARGIN = 13, 6  # pixels: of the labels of a sheet, and around them


def markdown(table: Table) -> str:
    """The table for people: ours with intervals, the paper's figures beside, then what came of its orderings."""
    figures, published = table.config.figures, table.config.published
    paper = [f"paper: {' / '.join(published)}"] if published else []
    heads = ["", *map(title, figures), *paper]
    lines = [
        f"## {table.config.title}",
        "",
        _line(heads),
        _line(["---"] * len(heads)),
        *(_line([row.label, *_figures(row, figures), *([_paper(row)] if paper else [])]) for row in table.rows),
        "",
        f"Mean ± half the 95 % interval over {table.seeds} seed{'s' * (table.seeds != 1)}; "
        f"protocol {table.protocol[:12]}.",
    ]
    if table.lines:
        lines += ["", "Orderings that the paper calls clear:", "", *map(_ordering, table.lines)]
        if any(line.difference for line in table.lines):
            lines += ["", _METHOD]
    return "\n".join(lines) + "\n"


def as_json(table: Table) -> dict[str, Any]:
    """The table for programs."""
    rows = [
        {
            "row": row.label,
            "figures": {
                name: {"mean": each.mean, "half": each.half, "seeds": each.seeds, "values": dict(each.values)}
                for name, each in row.figures.items()
            },
            "paper": dict(zip(table.config.published, row.paper, strict=False)),
        }
        | ({"note": row.note} if row.note else {})
        for row in table.rows
    ]
    lines = [
        {"ordering": line.text, "verdict": line.verdict, "reason": line.reason, "p": line.p}
        | {"difference": asdict(line.difference) if line.difference else None}
        for line in table.lines
    ]
    head = {"title": table.config.title, "direction": table.config.direction, "protocol": table.protocol}
    return head | {"seeds": table.seeds, "rows": rows, "orderings": lines}


def sheet(strips: Mapping[str, NDArray[np.uint8]]) -> Image.Image:
    """Strips of pictures (H, W, 3) of one height below each other, each with its label to the left."""
    font = ImageFont.load_default(_TEXT)
    margin = 2 * _MARGIN + round(max(font.getlength(label) for label in strips))
    tallest = max(strip.shape[0] for strip in strips.values())
    width = margin + max(strip.shape[1] for strip in strips.values())
    page = Image.new("RGB", (width, len(strips) * (tallest + 2)), "white")
    draw = ImageDraw.Draw(page)
    for index, (label, strip) in enumerate(strips.items()):
        top = index * (tallest + 2)
        page.paste(Image.fromarray(strip), (margin, top))
        draw.text((_MARGIN, top + tallest // 2), label, fill="black", font=font, anchor="lm")
    return page


def title(figure: str) -> str:
    """A figure's name for people."""
    if figure.startswith(BEST):
        return f"{title(figure.removeprefix(BEST))} of the best"
    start, _, rest = figure.partition("_")
    return " ".join(part for part in (_WORDS.get(start, start), _TITLES.get(rest, rest.replace("_", " "))) if part)


def number(figure: str, value: float) -> str:
    """A value with as many digits as its figure is worth."""
    start = figure.removeprefix(BEST).partition("_")[0]
    return f"{value:.{ {'fid': 1, 'kid': 4, 'l1': 2, 'psnr': 2, 'modes': 1}.get(start, 3) }f}"


def _ordering(line: Line) -> str:
    reason = line.reason
    if line.difference is not None:
        mean, low, high = (
            number(line.figure, value) for value in (line.difference.mean, line.difference.low, line.difference.high)
        )
        reason = f"{mean}, {low} to {high}, {line.difference.way}; p {line.p:.2g}"
    return f"- {line.text}: **{line.verdict}** ({reason})"


def _figures(row: TableRow, figures: Sequence[str]) -> list[str]:
    if row.note:
        return [row.note, *[""] * (len(figures) - 1)]
    return [_estimate(figure, row.figures[figure]) if figure in row.figures else "" for figure in figures]


def _estimate(figure: str, value: Estimate) -> str:
    half = "" if value.half is None else f" ± {number(figure, value.half)}"
    return number(figure, value.mean) + half


def _paper(row: TableRow) -> str:
    return " / ".join("-" if value is None else f"{value:g}" for value in row.paper)


def _line(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"
