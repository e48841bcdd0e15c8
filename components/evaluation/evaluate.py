"""evaluate: makes the table of metrics, each with its interval, from generated and true pictures."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

from components.evaluation.config import EvaluateConfig
from components.evaluation.fcn_score import corrected
from components.evaluation.features import FeatureNetwork, open_networks
from components.evaluation.figures import Figures, Metrics, Table, figures_json, figures_of, prefix, train_distances
from components.evaluation.intervals import PERCENT, Figure
from components.evaluation.measure import Measured, Measurer, Subset, Truth
from components.evaluation.points import assign, point_figures, read_points
from components.evaluation.protocol import Protocol, SampleProtocol
from components.evaluation.reading import Reading, reading_of
from components.evaluation.rows import build_rows, check_generated
from components.evaluation.verdict import summarise
from components.evaluation.within import open_within
from components.faults import Fault
from components.samples.task import Task
from components.shards.reader import Split
from components.storage.files import sha256_json
from components.systems.judge import Judge


@dataclass(frozen=True)
class Evaluation:
    """One direction of data/metrics/rows.json but the lineage, and the columns of its tables.

    Attributes:
        per_sample: the model's figures picture by picture.
        replicates: ROW/FIGURE -> its value on each resampled test set (`Figure.replicates`), which a later model
            measured under the same protocol can be compared with, image for image.
    """

    metrics: Metrics
    per_sample: Table
    replicates: Table


def evaluate(
    config: EvaluateConfig,
    train: Split,
    test: Split,
    generated: Split,
    task: Task,
    judge: Judge | None,
    cache: Path | None = None,
    sources: Split | None = None,
    only: Collection[str] | None = None,
) -> Evaluation:
    """Measure generated pictures, and the other rows that give the values meaning.

    Args:
        train, test: splits of the data whose samples show the target.
        generated: one picture of the target domain for each translated sample.
        task: what was made of what. judge: reads back what a picture shows, None where there is none.
        cache: folder where features of real pictures are kept for the next time.
        sources: the translated samples, where they are others than `test` (components/evaluation/sides.py).
        only: the rows that are wanted beside `model`, with the same figures as in the whole table; None: all.

    Raises:
        Fault: generated pictures of other samples or of another size, fewer than 2 test samples, bad weights.
    """
    if test.domains[task.target].kind == "point":
        return _evaluate_points(config, train, test, generated, task, only)
    if task.within:
        return _evaluate_within(config, train, test, generated, task, judge, cache, only)
    rows = {row.name: row for row in build_rows(train, test, generated, task, config.seed, sources)}
    wanted = rows.keys() if only is None else {"model", *only}
    if unknown := sorted(wanted - rows.keys()):
        raise Fault(f"metrics have no row {unknown[0]} here; there are {', '.join(rows)}")
    if "real" not in wanted:  # its features are what distances are measured to
        rows["real"] = replace(rows["real"], score=False, labels=False)
    looked = [row for name, row in rows.items() if name in {"real", *wanted}]
    networks = open_networks(config)
    truth, reading = open_truth(Subset(test), task, judge, None if sources is None else Subset(sources))
    with tqdm(total=sum(row.count for row in looked), unit="picture", desc="evaluate") as bar:
        measurer = Measurer(networks, truth, config.batch_size, cache, bar)
        measured = {row.name: measurer.measure(row) for row in looked}
    figures = {row.name: figures_of(row, measured, networks, truth, config) for row in looked if row.name in wanted}
    copied = {} if task.source is not None else train_distances(figures, rows, train, task.target, config)
    protocol = make_protocol(figures["model"], networks, truth, train, task, config)
    rows_json = {name: figures_json(row) for name, row in figures.items()}
    given = next((rows[name].domain for name in ("input", "bicubic") if name in rows), None)
    summary = summarise(figures, list(networks), given, rows["model"].domain)
    metrics = {"protocol": protocol.as_json(), "rows": rows_json, "summary": summary}
    if reading.skipped:
        metrics["skipped"] = dict(reading.skipped)
    keys = truth.asked.keys if task.source is not None else generated.keys
    table = _per_sample(measured["model"], measured["real"], truth, keys) | copied
    return Evaluation(metrics, table, _replicates(figures))


def _evaluate_points(
    config: EvaluateConfig, train: Split, test: Split, generated: Split, task: Task, only: Collection[str] | None
) -> Evaluation:
    """The rows `model` and `real`, the test points, by their modes."""
    check_generated(test, generated, task, test.domains[task.target])
    mixture = test.domains[task.target].mixture
    assert mixture is not None
    assigned = {
        name: assign(mixture, read_points(split, task.target))
        for name, split in (("model", generated), ("real", test))
        if name == "model" or only is None or name in only
    }
    figures: dict[str, Figures] = {name: {**point_figures(mixture, each, config)} for name, each in assigned.items()}
    truth = Truth(Subset(test), task.target, None, None, paired=False, translated=False)
    metrics: Metrics = {
        "protocol": make_protocol(figures["model"], {}, truth, train, task, config).as_json(),
        "rows": {name: figures_json(row) for name, row in figures.items()},
        "summary": {},
        "skipped": {"FID and the like": "They compare pictures, and these are points."},
    }
    columns = {"mode": assigned["model"].modes.tolist(), "mode_distance": assigned["model"].distances.tolist()}
    return Evaluation(metrics, {"key": generated.keys, **columns}, _replicates(figures))


def _evaluate_within(
    config: EvaluateConfig,
    train: Split,
    test: Split,
    generated: Split,
    task: Task,
    judge: Judge | None,
    cache: Path | None,
    only: Collection[str] | None,
) -> Evaluation:
    """The rows of a task that shows pictures in another condition."""
    networks = open_networks(config)
    within, skipped = open_within(config, networks, train, test, task, judge)
    figures, model, beside = within.measure(generated, only, cache)
    protocol = make_protocol(figures["model"], networks, within.real, train, task, config)
    domain = test.domains[task.target]
    metrics: Metrics = {
        "protocol": protocol.as_json(),
        "rows": {name: figures_json(row) for name, row in figures.items()},
        "summary": summarise(figures, list(networks), domain, domain),
    }
    if skipped:
        metrics["skipped"] = skipped
    return Evaluation(metrics, _per_sample(model, beside, within.truth, within.turns.keys), _replicates(figures))


def open_truth(test: Subset, task: Task, judge: Judge | None, sources: Subset | None = None) -> tuple[Truth, Reading]:
    """What can be compared, and by which judge; and the reading of the task that says so, and what cannot."""
    domains, judged = test.split.domains, None if judge is None else judge.card.task
    reading = reading_of(task, domains, judged, aligned=sources is None)
    read = reading.labels or reading.stacked
    if judge is not None and reading.by_judge and judge.classes != domains[read or ""].classes:
        reason = f"the judge knows other classes of {read}; run dvc repro judge"
        kind = "fcn" if task.source is not None else "condition" if reading.labels else "mode"
        skipped = {**reading.skipped, kind: reason}
        reading = replace(reading, labels=None, stacked=None, by_judge=False, skipped=skipped)
    truth = Truth(
        test,
        task.target,
        reading.labels,
        judge if reading.by_judge else None,
        sources,
        paired=reading.paired,
        translated=task.source is not None,
        border=reading.border,
        stacked=reading.stacked is not None,
    )
    return truth, reading


def make_protocol(
    names: Iterable[str],
    networks: dict[str, FeatureNetwork],
    truth: Truth,
    train: Split,
    task: Task,
    config: EvaluateConfig,
) -> Protocol:
    """How figures of these names are measured."""
    return Protocol(
        metrics=tuple(sorted(names)),
        networks={suffix: network.protocol for suffix, network in networks.items()},
        judge=truth.judge.sha256 if truth.judge else None,
        source=task.source,
        target=task.target,
        condition=task.condition,
        size=train.domains[task.target].height_width,
        classes=truth.domains[truth.labels].classes if truth.labels else (),
        test=sample_protocol(truth.test),
        train=sample_protocol(Subset(train)),
        sources=sample_protocol(truth.sources) if truth.sources else None,
        seed=config.seed,
        num_bootstrap=config.num_bootstrap,
        is_splits=config.is_splits,
        confidence=PERCENT,
        border=truth.border or None,
    )


def _per_sample(model: Measured, real: Measured, truth: Truth, keys: Iterable[str]) -> Table:
    """The model's figures picture by picture: of no more than the keys where no picture has a true one."""
    columns: Table = {"key": list(keys), **{name: each.tolist() for name, each in model.pixels.items()}}
    if model.modes is not None:
        columns["mode"] = model.modes.tolist()
    if model.confusion is not None and truth.labels and truth.domains[truth.labels].askable:
        hits = model.confusion.diagonal(dim1=-2, dim2=-1).sum(-1)
        columns["condition_read_back"] = (hits if hits.dim() == 1 else hits.double().mean(1)).tolist()
    elif model.confusion is not None:
        scores = corrected(model.confusion)
        columns[f"{prefix(truth)}_pixel_accuracy"] = scores.pixel_accuracy.tolist()
        columns[f"{prefix(truth)}_class_iou"] = scores.class_iou.tolist()
    for suffix, features in model.features.items() if truth.paired else ():
        distance = torch.linalg.vector_norm(features.double() - real.features[suffix].double(), dim=1)
        columns[f"feature_distance_{suffix or 'inception'}"] = distance.tolist()
    return columns


def _replicates(figures: dict[str, Figures]) -> Table:
    """Those of every row, but of single classes."""
    return {
        f"{row}/{name}": figure.replicates.tolist()
        for row, entries in figures.items()
        for name, figure in entries.items()
        if isinstance(figure, Figure) and figure.replicates is not None
    }


def sample_protocol(samples: Subset) -> SampleProtocol:
    """Which samples they are."""
    keys, entries = samples.keys, samples.split.manifest.splits[samples.split.name]
    return SampleProtocol(
        count=len(keys), keys=sha256_json(keys), pictures=sha256_json([entry.sha256 for entry in entries])
    )
