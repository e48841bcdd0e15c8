"""The figures of one row of the table, made of what was measured picture by picture."""

from typing import Any

from torch import Tensor

from components.evaluation.config import EvaluateConfig
from components.evaluation.fcn_score import condition_figures, fcn_figures
from components.evaluation.features import FeatureNetwork
from components.evaluation.frechet import frechet
from components.evaluation.inception_score import inception_score
from components.evaluation.intervals import Figure, at_least, draws, linear_figure, mean_figure
from components.evaluation.kid import kid
from components.evaluation.manifold import nearest, precision_recall, shrunk
from components.evaluation.measure import Measured, Truth
from components.evaluation.rows import Row
from components.evaluation.sets import doubts
from components.evaluation.stacks import mode_figures
from components.shards.reader import Split
from components.tasks.encoding import render

Metrics = dict[str, Any]
Figures = dict[str, Figure | dict[str, Figure]]  # those of single classes are one level deeper
Table = dict[str, list[Any]]


def figures_of(
    row: Row,
    measured: dict[str, Measured],
    networks: dict[str, FeatureNetwork],
    truth: Truth,
    config: EvaluateConfig,
) -> Figures:
    """The figures of one row, as its flags ask; the row "real" must have been measured for distances."""
    done, real = measured[row.name], measured["real"]
    own = draws(row.count, config.num_bootstrap, config.seed)
    out: Figures = {}
    for suffix, network in networks.items():
        end = f"_{suffix}" if suffix else ""
        if row.distances:
            out |= _distances(row, done, real, suffix, network.protocol.dimensions, config, truth.paired)
        if row.distances and row.name != "floor" and not truth.translated:
            theirs = draws(len(real.features[suffix]), config.num_bootstrap, config.seed)
            both = precision_recall(done.features[suffix], real.features[suffix], own, theirs)
            out |= dict(zip((f"precision{end}", f"recall{end}"), both, strict=True))
        if row.score:
            score = inception_score(done.log_p[suffix], own, config.is_splits, config.seed)
            out[f"inception_score{end}"] = score
    if row.score and done.judge_log_p is not None:
        score = inception_score(done.judge_log_p, own, config.is_splits, config.seed)
        out["inception_score_judge"] = score
    if done.confusion is not None and truth.labels is not None:
        classes = truth.domains[truth.labels].classes
        read = condition_figures if truth.domains[truth.labels].askable else fcn_figures
        out |= read(done.confusion, classes, own, prefix(truth))
    if done.modes is not None and truth.judge is not None:
        out |= mode_figures(done.modes, len(truth.judge.classes) ** 3, own)
    for name, values in done.pixels.items():
        out[name] = mean_figure(values, own)
    return out


def train_distances(
    figures: dict[str, Figures], rows: dict[str, Row], train: Split, target: str, config: EvaluateConfig
) -> Table:
    """Add to the rows `model` and `real` how near their pictures are to the nearest training picture.

    Returns:
        Of each picture of the model its distance, and the key of that training picture.
    """
    domain = train.domains[target]
    others = shrunk(lambda i: render(domain, train.picture(i, target)[None])[0], len(train))
    columns: Table = {}
    for name in ("model", "real"):
        if name in figures:
            distances, places = nearest(_small(rows[name]), others)
            own = draws(rows[name].count, config.num_bootstrap, config.seed)
            figures[name]["train_distance"] = mean_figure(distances, own)
            if name == "model":
                columns["train_distance"] = distances.tolist()
                columns["nearest_train"] = [train.keys[i] for i in places.tolist()]
    return columns


def _small(row: Row) -> Tensor:
    return shrunk(lambda i: render(row.domain, row.read(i)[None])[0], row.count)


def figures_json(figures: Figures) -> Metrics:
    """Figures as they stand in data/metrics."""
    return {
        name: entry.as_json() if isinstance(entry, Figure) else {label: each.as_json() for label, each in entry.items()}
        for name, entry in figures.items()
    }


def _distances(
    row: Row, done: Measured, real: Measured, suffix: str, dimensions: int, config: EvaluateConfig, paired: bool
) -> Figures:
    """FID and KID to the true test pictures: as many of them as the row has, or all where there are no pairs."""
    end = f"_{suffix}" if suffix else ""
    first, second = done.features[suffix], real.features[suffix]
    if paired:
        second = second[: len(first)]
    # The floor's train pictures are drawn on their own.
    found = distances(first, second, dimensions, config, paired and row.name != "floor")
    return {f"{name}{end}": figure for name, figure in found.items()}


def distances(
    first: Tensor, second: Tensor, dimensions: int, config: EvaluateConfig, together: bool
) -> dict[str, Figure]:
    """`fid` and `kid` between features (n, d) and those of real pictures, (m, d).

    Args:
        together: whether image i of both is of one sample, so that they are resampled as one.
    """
    theirs = draws(len(second), config.num_bootstrap, config.seed)
    own = theirs if together else draws(len(first), config.num_bootstrap, config.seed + 1)
    distance = frechet(first, second)
    notes = doubts(first, second, dimensions)
    fid = linear_figure(distance.value, (distance.first, own), (distance.second, theirs), **notes)
    return {"fid": at_least(0.0, fid), "kid": kid(first, second, own, theirs, together)}


def prefix(truth: Truth) -> str:
    """What the names of metrics that are read from pictures begin with."""
    if truth.labels is not None and truth.domains[truth.labels].askable:
        return "condition"
    return "fcn" if truth.judge else "labels"
