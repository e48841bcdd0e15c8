"""evaluate: from generated pictures and true ones to the table of metrics, each figure with its interval."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from components.evaluation.config import EvaluateConfig
from components.evaluation.fcn_score import corrected, fcn_figures
from components.evaluation.features import FeatureNetwork, open_networks
from components.evaluation.frechet import frechet
from components.evaluation.inception_score import inception_score
from components.evaluation.intervals import PERCENT, at_least, draws, linear_figure, mean_figure
from components.evaluation.kid import kid
from components.evaluation.measure import Measured, Measurer, Truth
from components.evaluation.protocol import Protocol, SampleProtocol
from components.evaluation.rows import Row, build_rows
from components.files import sha256_json
from components.shards.reader import Split
from components.systems.judge import Judge

Metrics = dict[str, Any]
Table = dict[str, list[Any]]


@dataclass(frozen=True)
class Evaluation:
    """The content of data/metrics/SYSTEM.json but the lineage, and the columns of per_sample.parquet."""

    metrics: Metrics
    per_sample: Table


def evaluate(
    config: EvaluateConfig,
    train: Split,
    test: Split,
    generated: Split,
    task: tuple[str, str],
    judge: Judge | None,
    cache: Path | None = None,
) -> Evaluation:
    """Measure generated pictures and the rows that give their figures a meaning.

    Args:
        train, test: splits of the data. generated: one picture of the target domain for each test sample.
        task: (source, target) domains. judge: reads labels from photos, None where there is none.
        cache: folder where features of real pictures are kept for the next time.

    Raises:
        Fault: generated pictures of other samples or of another size, fewer than 2 test samples, bad weights.
    """
    target = task[1]
    rows = build_rows(train, test, generated, task, config.seed)
    networks = open_networks(config)
    truth, skipped = open_truth(test, target, judge)
    with tqdm(total=sum(row.count for row in rows), unit="picture", desc="evaluate") as bar:
        measurer = Measurer(networks, truth, config.batch_size, cache, bar)
        measured = {row.name: measurer.measure(row) for row in rows}
    figures = {row.name: figures_of(row, measured, networks, truth, config) for row in rows}
    protocol = make_protocol(figures["model"], networks, truth, train, task, config)
    metrics = {"protocol": protocol.as_json(), "rows": figures, "summary": _summary(figures, networks)}
    if skipped:
        metrics["skipped"] = skipped
    return Evaluation(metrics, _per_sample(test.keys, measured["model"], measured["real"], truth))


def open_truth(test: Split, target: str, judge: Judge | None) -> tuple[Truth, dict[str, str]]:
    """Which labels can be compared and by whom; and why not where they cannot."""
    if test.domains[target].kind == "label":
        reason = "the target is a label map: its labels are compared directly (labels_*)"
        return Truth(test, target, target, None), {"fcn": reason, "pixels": reason}
    if judge is None:
        return Truth(test, target, None, None), {"fcn": "no judge: the data has no labels beside its photos"}
    photo, labels = judge.card.task
    if photo != target or judge.classes != test.domains[labels].classes:
        return Truth(test, target, None, None), {"fcn": f"the judge reads {labels} from {photo}, not from {target}"}
    return Truth(test, target, labels, judge), {}


def make_protocol(
    names: Iterable[str],
    networks: dict[str, FeatureNetwork],
    truth: Truth,
    train: Split,
    task: tuple[str, str],
    config: EvaluateConfig,
) -> Protocol:
    """How figures of these names are measured."""
    test = truth.test
    return Protocol(
        metrics=tuple(sorted(names)),
        networks={suffix: network.protocol for suffix, network in networks.items()},
        judge=truth.judge.sha256 if truth.judge else None,
        source=task[0],
        target=task[1],
        size=test.manifest.size,
        classes=test.domains[truth.labels].classes if truth.labels else (),
        test=_samples(test, truth.keys),
        train=_samples(train, train.keys),
        seed=config.seed,
        num_bootstrap=config.num_bootstrap,
        is_splits=config.is_splits,
        confidence=PERCENT,
    )


def figures_of(
    row: Row,
    measured: dict[str, Measured],
    networks: dict[str, FeatureNetwork],
    truth: Truth,
    config: EvaluateConfig,
) -> Metrics:
    """The figures of one row, as its flags ask; the row "real" must have been measured for distances."""
    done, real = measured[row.name], measured["real"]
    test_draws = draws(len(truth), config.num_bootstrap, config.seed)
    out: Metrics = {}
    for suffix, network in networks.items():
        end = f"_{suffix}" if suffix else ""
        if row.distances:
            out |= _distances(row, done, real, suffix, network.protocol.dimensions, config)
        if row.score:
            score = inception_score(done.log_p[suffix], test_draws, config.is_splits, config.seed)
            out[f"inception_score{end}"] = score.as_json()
    if row.score and done.judge_log_p is not None:
        score = inception_score(done.judge_log_p, test_draws, config.is_splits, config.seed)
        out["inception_score_judge"] = score.as_json()
    if done.confusion is not None and truth.labels is not None:
        names = truth.test.domains[truth.labels].classes
        out |= fcn_figures(done.confusion, names, test_draws, _prefix(truth))
    for name, values in done.pixels.items():
        out[name] = mean_figure(values, test_draws).as_json()
    return out


def _distances(
    row: Row, done: Measured, real: Measured, suffix: str, dimensions: int, config: EvaluateConfig
) -> Metrics:
    """FID and KID to the true test pictures: as many of them as the row has."""
    end = f"_{suffix}" if suffix else ""
    first = done.features[suffix]
    second = real.features[suffix][: len(first)]
    theirs = draws(len(second), config.num_bootstrap, config.seed)
    paired = row.name != "floor"  # its train pictures are drawn on their own
    own = theirs if paired else draws(len(first), config.num_bootstrap, config.seed + 1)
    distance = frechet(first, second)
    notes = {} if len(first) > dimensions else {"note": f"biased: {len(first)} images for {dimensions} dimensions"}
    fid = linear_figure(distance.value, (distance.first, own), (distance.second, theirs), **notes)
    return {
        f"fid{end}": at_least(0.0, fid).as_json(),
        f"kid{end}": kid(first, second, own, theirs, paired).as_json(),
    }


def _summary(figures: dict[str, Metrics], networks: dict[str, FeatureNetwork]) -> dict[str, float]:
    """(model - floor) / (mean_colour - floor) of FID and KID: 0 is real, 1 the flat painter; first network bare."""
    out = {}
    for position, suffix in enumerate(networks):
        for metric in ("fid", "kid"):
            name = f"{metric}_{suffix}" if suffix else metric
            model, floor, painter = (figures[row][name]["value"] for row in ("model", "floor", "mean_colour"))
            if painter > floor:
                label = metric if position == 0 else f"{metric}_{suffix or 'inception'}"
                out[f"{label}_excess_ratio"] = (model - floor) / (painter - floor)
    return out


def _per_sample(keys: list[str], model: Measured, real: Measured, truth: Truth) -> Table:
    columns: Table = {"key": list(keys), **{name: values.tolist() for name, values in model.pixels.items()}}
    if model.confusion is not None:
        scores = corrected(model.confusion)
        columns[f"{_prefix(truth)}_pixel_accuracy"] = scores.pixel_accuracy.tolist()
        columns[f"{_prefix(truth)}_class_iou"] = scores.class_iou.tolist()
    for suffix, features in model.features.items():
        distance = torch.linalg.vector_norm(features.double() - real.features[suffix].double(), dim=1)
        columns[f"feature_distance_{suffix or 'inception'}"] = distance.tolist()
    return columns


def _prefix(truth: Truth) -> str:
    return "fcn" if truth.judge else "labels"


def _samples(split: Split, keys: list[str]) -> SampleProtocol:
    entries = split.manifest.splits[split.name]
    return SampleProtocol(
        count=len(keys), keys=sha256_json(keys), pictures=sha256_json([entry.sha256 for entry in entries])
    )
