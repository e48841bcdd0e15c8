"""What the report says of one translation."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from components.evaluation.config import POINT_FIGURES
from components.evaluation.verdict import sentence
from components.faults import Fault
from components.models.card import Card, read_cards
from components.pages.config import ReportConfig
from components.pages.examples import Group, StepRow, choose, over_time
from components.pages.figures import ClassBars, Metric, RowTitle, metrics, per_class, shown_rows, title
from components.pages.matrix import Matrix, matrices
from components.samples.condition import each_condition
from components.storage.files import read_json


@dataclass(frozen=True)
class Direction:
    """One translation with its figures and its pictures.

    Attributes:
        name: as people read it. mark: what tells its headings' ids from those of another.
        conditions: the names of the rows of "sheet", where a condition is asked for.
        order: the figure that the groups are made by; None where there is none, and they are spread evenly.
        version: of the registered model, None where it is not registered.
        sheets: data URIs, as generate drew them: "sheet", "ways" and, of StyleGAN, "mixes" of pictures from noise, and
            "sheet" where pictures are shown in another condition. matrices: figures by the way to it.
    """

    name: str
    mark: str
    card: Card
    metrics: list[Metric]
    rows: list[RowTitle]
    headlines: list[Metric]
    skipped: dict[str, str]
    verdict: str
    classes: list[ClassBars]
    protocol: dict[str, Any]
    protocol_text: str
    order: str | None
    groups: list[Group]
    over_time: list[StepRow]
    sheets: dict[str, str]
    conditions: tuple[str, ...]
    matrices: list[Matrix]
    version: dict[str, Any] | None


def read_directions(
    shards: Path,
    generated: Path,
    metrics_file: Path,
    samples: Path,
    registered: Path,
    pairs: bool,
    config: ReportConfig,
) -> list[Direction]:
    """Every translation that was generated, the task's own first.

    Args:
        samples: folder of the sample grids of the training.
        pairs: whether each sample of the shards shows every domain.

    Raises:
        Fault: a file is missing or is not what its stage writes.
    """
    cards, measured = read_cards(generated), read_json(metrics_file)
    versions = read_json(registered)["versions"] if registered.exists() else {}
    tables = [metrics_file.parent / f"per_sample/{card.name}.parquet" for card in cards]
    ordered = [config.order_by in pq.read_schema(table).names for table in tables]
    directions = []
    for i, card in enumerate(cards):
        found = measured.get(card.name, {})
        if found.get("rows", {}).get("model") is None:
            raise Fault(f"{metrics_file}: has no row `model` of {card.name}; run dvc repro -f evaluate")
        # The params name one figure for all; a translation that has no such goes by its own.
        order_by = config.order_by if ordered[i] or not any(ordered) else None
        points = card.target.kind == "point"  # one alone tells nothing: all of them are on the sheet
        count = 0 if points else config.pictures
        order, groups = choose(shards, generated / card.name, tables[i], card.task, order_by, count)
        figures = metrics(found["rows"])
        true = pairs and card.task.source != card.task.target
        parts = ["made"] if card.source is None else ["source", "made", *(["real"] if true else [])]
        directions.append(
            Direction(
                name=card.task.title,
                mark=f"-{i + 1}" if i else "",
                card=card,
                metrics=figures,
                rows=shown_rows(found["rows"]),
                headlines=[metric for metric in figures if _headline(metric)],
                skipped=found.get("skipped", {}),
                verdict=sentence(found.get("summary", {})),
                classes=per_class(found["rows"], found["protocol"].get("classes", ())),
                protocol=found["protocol"],
                protocol_text=json.dumps(found["protocol"], indent=2, sort_keys=True, ensure_ascii=False),
                order=" ".join(title(order)).strip() if order else None,
                groups=groups,
                over_time=[] if points else over_time(samples, config.grids, parts, i, len(cards)),
                version=versions.get(card.name),
                sheets=_sheets(generated / card.name) if card.source is None or card.task.within else {},
                conditions=tuple(each_condition(card.condition)) if card.condition else (),
                matrices=matrices(found["rows"]["model"], card.condition) if card.condition else [],
            )
        )
    return directions


def _sheets(folder: Path) -> dict[str, str]:
    found = {}
    for name in ("sheet", "ways", "mixes"):
        if (file := folder / f"{name}.png").is_file():
            found[name] = "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    return found


def _headline(metric: Metric) -> bool:
    return metric.bar("model") is not None and (
        metric.name.startswith(("fid", "kid"))
        or metric.name in ("fcn_class_iou", "labels_class_iou", "condition_accuracy", "condition_kept", *POINT_FIGURES)
    )
