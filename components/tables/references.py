"""The rows of a table that need no training, such as real photos, measured by the protocol of the cells."""

from pathlib import Path
from typing import Any

from components.evaluation.evaluate import evaluate
from components.evaluation.sides import open_sides
from components.samples.task import Task
from components.systems.judge import load_judge
from components.tables.config import TablesParams


def reference_rows(
    params: TablesParams, direction: str, task: Task, shards: Path, judge: Path, cache: Path
) -> dict[str, Any]:
    """The reference rows that the tables of one direction show; the true pictures stand in for the made ones.

    Args:
        task: of the direction. cache: folder where features of real pictures are kept.

    Raises:
        Fault: the task has no such row, as one that enlarges pictures has `bicubic` and no `input`.
    """
    tables = [config for config in params.tables.values() if config.direction == direction]
    asked = {row.reference for config in tables for row in config.rows.values() if row.reference is not None}
    train, test, _ = open_sides(shards, task)
    return evaluate(params.evaluate, train, test, test, task, load_judge(judge), cache, only=asked).metrics
