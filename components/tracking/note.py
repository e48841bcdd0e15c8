"""The description of a run on MLflow's pages."""

from typing import Any

from components.models.card import Card

NOTE = "mlflow.note.content"  # the tag that MLflow's page shows as a run's description
_SHOWN = ("fid", "kid", "fcn_class_iou", "labels_class_iou", "l1", "psnr_y")
_ROWS = ("model", "real", "floor", "mean_colour", "bicubic")


def describe_run(run: dict[str, Any], cards: list[Card], metrics: dict[str, Any]) -> str:
    """A run in markdown: its first metrics, of which MLflow's page shows a few lines, what it trained, and where the
    others are.

    Args:
        run: run.json. metrics: rows.json.
    """
    parts: list[str] = []
    for card in cards:
        rows = metrics[card.name]["rows"]
        there = [row for row in _ROWS if row in rows]
        figures = [name for name, entry in rows["model"].items() if name.startswith(_SHOWN) and "value" in entry]
        if not figures:
            continue
        parts += [f"| {card.name} | " + " | ".join(there) + " |", "| --- |" + " --- |" * len(there)]
        for name in figures:
            cells = [f"{rows[row][name]['value']:.4g}" if name in rows[row] else "" for row in there]
            parts.append(f"| {name} | " + " | ".join(cells) + " |")
        parts.append("")
    directions = " and ".join(card.task.title for card in cards)
    parts += [
        f"{run['system']['name']}, {directions}, {run['steps']:,} steps on data manifest {run['manifest'][:12]}.",
        "",
        "Metrics: the headlines of the evaluation have names without a slash and stand below `train/` and "
        "`validation/`, which are by step; the pictures are `samples` by step. Artifacts: `metrics/` holds every "
        "metric of every row (the model, real pictures, the flat painter and more) with its 95 % interval and its "
        "protocol, `review/` the versions side by side.",
    ]
    return "\n".join(parts)
