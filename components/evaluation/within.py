"""Pictures that are shown in another condition: measured by ordered pair of categories, or by attribute and its value,
and over all of these ways."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from components.evaluation.config import EvaluateConfig
from components.evaluation.fcn_score import condition_figures
from components.evaluation.features import FeatureNetwork
from components.evaluation.figures import Figures, distances
from components.evaluation.intervals import Figure, draws, mean_figure, percentile
from components.evaluation.measure import Measured, Measurer, Subset, Truth
from components.evaluation.rows import Row, check_generated
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.turns import Turns, members_of, open_turns
from components.systems.judge import Judge

ROWS = ("model", "real", "floor", "input")


@dataclass(frozen=True)
class Within:
    """The sets of a task within one domain.

    Attributes:
        truth: what is compared with picture by picture: of each that is made, a test picture that shows what it leads
            to, the true one where the set holds it. real: the test pictures themselves.
    """

    config: EvaluateConfig
    networks: dict[str, FeatureNetwork]
    train: Split
    task: Task
    turns: Turns
    truth: Truth
    real: Truth

    @cached_property
    def chosen(self) -> list[NDArray[np.int64]]:
        """As many train pictures of each class, or value of an attribute, as the test split has, at most all, drawn by
        seed."""
        order = np.random.default_rng(self.config.seed).permutation(len(self.train))
        members = members_of(self.train, self.turns.condition)[order]
        return [order[np.flatnonzero(members[:, end])[:count]] for end, count in enumerate(self.turns.members.sum(0))]

    @cached_property
    def floor(self) -> list[int]:
        """All of these, each once."""
        return np.unique(np.concatenate(self.chosen)).tolist()

    def measure(
        self, generated: Split, only: Collection[str] | None, cache: Path | None
    ) -> tuple[dict[str, Figures], Measured, Measured]:
        """The figures of each row; and what was measured of the model, and of the pictures it is compared with."""
        rows = {row.name: row for row in self._rows(generated)}
        wanted = [name for name in ROWS if only is None or name in {"model", *only}]
        measured: dict[str, Measured] = {}
        with tqdm(total=sum(row.count for row in rows.values()), unit="picture", desc="evaluate") as bar:
            for name in dict.fromkeys(("real", *wanted)):
                truth = self.real if name in ("real", "floor") else self.truth
                measurer = Measurer(self.networks, truth, self.config.batch_size, cache, bar)
                measured[name] = measurer.measure(rows[name])
        figures = {name: self._figures(name, measured) for name in wanted}
        beside = Measured(features=_taken(measured["real"].features, self.turns.partners))
        return figures, measured["model"], beside

    def _rows(self, generated: Split) -> Iterator[Row]:
        turns, target = self.turns, self.truth.target
        domain, test = turns.split.domains[target], turns.split
        place = check_generated(test, generated, self.task, domain, turns.keys)
        pixels = self.truth.paired
        yield Row("model", domain, len(place), lambda i: generated.picture(place[i], target), False, pixels=pixels)
        yield Row("real", domain, len(test), partial(test.picture, domain=target), score=True, pixels=False)
        floor = self.floor
        yield Row(
            "floor", domain, len(floor), lambda i: self.train.picture(floor[i], target), labels=False, pixels=False
        )
        # Its features are the real pictures' own.
        given = partial(Row, "input", domain, len(place), lambda i: test.picture(int(turns.places[i]), target))
        yield given(distances=False, score=False, pixels=pixels)

    def _figures(self, name: str, measured: dict[str, Measured]) -> Figures:
        config, turns, done = self.config, self.turns, measured[name]
        by_sample = draws(len(turns.split), config.num_bootstrap, config.seed)
        # All pictures of one source are drawn together.
        own = by_sample if name == "real" else by_sample[:, turns.places]
        out: Figures = {}
        if name != "real":
            for suffix, network in self.networks.items():
                features = measured["real" if name == "input" else name].features[suffix]
                found = self._by_way(name, features, measured["real"].features[suffix], network.protocol.dimensions)
                out |= over_ways(found, f"_{suffix}" if suffix else "")
        if done.confusion is not None:
            if turns.domain.exclusive or name == "real":
                out |= condition_figures(done.confusion, turns.classes, own, "condition")
            else:
                out |= changed_figures(done.confusion, turns, own)
        for pixel, values in done.pixels.items():
            out[pixel] = mean_figure(values, own)
        return out

    def _by_way(self, name: str, features: Tensor, real: Tensor, dimensions: int) -> dict[str, dict[str, Figure]]:
        """FID and KID of each way: of an ordered pair of classes, or of a value that an attribute is given, to the test
        pictures that show what it leads to.

        Of the floor, of each end: its train pictures show it.
        """
        turns, found = self.turns, {}
        if name == "floor":
            for end, label in enumerate(turns.names):
                ours = _of(features, np.flatnonzero(np.isin(self.floor, self.chosen[end])))
                shown = _of(real, np.flatnonzero(turns.members[:, end]))
                found[label] = distances(ours, shown, dimensions, self.config, False)
            return found
        for way in turns.ways():
            mine = way.turns
            theirs = np.flatnonzero(turns.members[:, way.end])
            if together := turns.truths is not None and len(mine) == len(theirs):
                assert turns.truths is not None
                theirs = turns.truths[mine]
            given = turns.places[mine] if name == "input" else mine
            ours = _of(features, given)
            found[way.name] = distances(ours, _of(real, theirs), dimensions, self.config, together)
        return found


def open_within(
    config: EvaluateConfig,
    networks: dict[str, FeatureNetwork],
    train: Split,
    test: Split,
    task: Task,
    judge: Judge | None,
) -> tuple[Within, dict[str, str]]:
    """The sets of a task, and what cannot be measured of them, with the reason.

    Raises:
        Fault: a class without test pictures.
    """
    assert task.condition is not None
    turns, skipped = open_turns(test, task.condition), {}
    condition: str | None = task.condition
    if judge is None or (judge.card.task.source, judge.card.task.target) != (task.target, condition):
        skipped["condition"] = f"no judge that reads {condition} from {task.target}"
        condition, judge = None, None
    if turns.truths is None:
        every = task.condition if turns.domain.exclusive else f"combination of {task.condition}"
        skipped["pixels"] = f"no true picture: the set does not hold every picture in every {every}"
    real = Truth(Subset(test), task.target, condition, judge, paired=False)
    beside = Subset(test, tuple(turns.partners.tolist()))
    truth = replace(real, test=beside, paired=turns.truths is not None, told=turns.asked)
    return Within(config, networks, train, task, turns, truth, real), skipped


def changed_figures(confusion: Tensor, turns: Turns, draws: Tensor) -> Figures:
    """Whether a judge reads the attribute that each turn changes as it was asked for, over all turns and by attribute;
    and `condition_kept`, the share of the other attributes that it reads as they were.

    Args:
        confusion: (N, attributes, 2, 2) of `attribute_confusions`. draws: (B, N) counts of `intervals.draws`.
    """
    hits = confusion.diagonal(dim1=-2, dim2=-1).sum(-1).double()
    changed = torch.from_numpy(turns.ends // 2)
    read = hits.gather(1, changed[:, None])[:, 0]
    kept = (hits.sum(1) - read) / (hits.shape[1] - 1)
    by_name: dict[str, Figure] = {}
    for place, name in enumerate(turns.classes):
        mine = changed == place
        by_name[name] = mean_figure(read[mine], draws[:, mine])
    return {
        "condition_accuracy": mean_figure(read, draws),
        "condition_accuracy_per_class": by_name,
        "condition_kept": mean_figure(kept, draws),
    }


def over_ways(found: dict[str, dict[str, Figure]], end: str) -> Figures:
    """The mean of each distance over all ways, and each way's own.

    Its interval is of the means over the resampled sets; its notes are those of the first way that has some.
    """
    out: Figures = {}
    for metric in ("fid", "kid"):
        each = {way: figures[metric] for way, figures in found.items()}
        replicates = torch.stack([f.replicates for f in each.values() if f.replicates is not None]).mean(0)
        notes = next((figure.notes for figure in each.values() if figure.notes), {})
        out[f"{metric}{end}"] = percentile(float(np.mean([f.value for f in each.values()])), replicates, **notes)
        out[f"{metric}{end}_per_way"] = each
    return out


def _of(features: Tensor, places: np.ndarray) -> Tensor:
    return features[torch.from_numpy(places)]


def _taken(features: dict[str, Tensor], places: np.ndarray) -> dict[str, Tensor]:
    return {suffix: _of(each, places) for suffix, each in features.items()}
