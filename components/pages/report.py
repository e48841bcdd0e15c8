"""The report: one self-contained page about a run, made from the files that the stages wrote."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from components.pages.config import ReportConfig
from components.pages.curves import HEIGHT, WIDTH, number, read_curves
from components.pages.direction import read_directions
from components.pages.search import view_search
from components.pages.study import view_study
from components.pages.times import ORCHESTRATION, duration, read_times
from components.samples.task import Task
from components.serving.templates import PAGE_STYLE, template
from components.shards.manifest import Manifest
from components.storage.files import exists, read_json
from components.storage.home import AnyPath

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Inputs:
    """Where the stages wrote.

    Attributes:
        metrics: folder of rows.json and per_sample/. tuned: of the search.
        timings, runs: below .pix2pipe; a stage that is missing there is shown as cached.
        study: what `pix2pipe study result` wrote.
    """

    raw: Path
    shards: Path
    run: Path
    generated: Path
    metrics: Path
    registered: Path
    tuned: Path
    timings: Path
    runs: AnyPath
    study: Path | None = None


def build_report(inputs: Inputs, config: ReportConfig) -> str:
    """The page as HTML that needs no other file.

    Raises:
        Fault: a file is missing or is not what its stage writes.
    """
    run, manifest = read_json(inputs.run / "run.json"), Manifest.read(inputs.shards)
    directions = read_directions(
        inputs.shards,
        inputs.generated,
        inputs.metrics / "rows.json",
        inputs.run / "samples",
        inputs.registered,
        manifest.aligned,
        config,
    )
    task = Task.model_validate(run["task"])
    speed = inputs.runs / run["key"] / "throughput.json"
    return template(_HERE, "report.html", duration=duration).render(
        style=Markup(PAGE_STYLE.read_text(encoding="utf-8")),
        run=run,
        alarms=run.get("alarms", []),
        directions=directions,
        task=task,
        trained_on=_trained_on(manifest, task, directions[0].card.system.paired),
        tested_on=_tested_on(manifest, task),
        manifest=manifest,
        manifest_hash=manifest.sha256,
        source=_source(inputs.raw / manifest.source / "source.json"),
        speed=read_json(speed)["images_per_second"] if exists(speed) else None,
        params=[(part, _flat(run[part])) for part in ("system", "train")],
        curves=read_curves(inputs.run / "curves.csv"),
        validation=read_curves(inputs.run / "validation.csv"),
        number=number,
        chart=(WIDTH, HEIGHT),
        search=view_search(inputs.tuned),
        study=view_study(inputs.study),
        times=read_times(inputs.timings, _present(inputs)),
        orchestration=ORCHESTRATION,
    )


def _trained_on(manifest: Manifest, task: Task, paired: bool) -> str:
    if task.source in (None, task.target):
        what = "points" if manifest.domains[task.target].kind == "point" else "pictures"
        return f"{manifest.count(manifest.side('train', task.target)):,} {what}"
    if manifest.aligned and paired:
        return f"{manifest.count('train'):,} pairs"
    counts = [f"{manifest.count(manifest.side('train', domain)):,} {domain}" for domain in (task.source, task.target)]
    return f"{counts[0]} and {counts[1]} pictures, unpaired,"


def _tested_on(manifest: Manifest, task: Task) -> str:
    if manifest.aligned:
        return f"{manifest.count('test'):,} test samples"
    counts = [f"{manifest.count(manifest.side('test', domain)):,} {domain}" for domain in task.domains]
    return f"{' and '.join(counts)} test pictures"


def _source(path: Path) -> dict[str, Any]:
    """What fetch noted of the raw pictures; an empty account where there is none."""
    noted = read_json(path) if path.exists() else {}
    files = noted.get("files")
    kept = {
        name: {part: str(about.get(part, "")) for part in ("title", "origin", "licence")}
        for name, about in (files.items() if isinstance(files, dict) else ())
        if isinstance(about, dict)
    }
    return {"licence": str(noted.get("licence", "")), "files": kept}


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat += _flat(value, f"{prefix}{name}.")
        else:
            flat.append((prefix + name, value if isinstance(value, str) else json.dumps(value)))
    return flat


def _present(inputs: Inputs) -> tuple[str, ...]:
    """Stages whose outputs are there."""
    outputs = {
        "fetch": inputs.raw,
        "shard": inputs.shards,
        "judge": inputs.shards.parent / "judge",
        "tune": inputs.tuned,
        "train": inputs.run,
        "generate": inputs.generated,
        "evaluate": inputs.metrics,
        "register": inputs.registered,
    }
    return tuple(stage for stage, output in outputs.items() if output.exists())
