"""The KID of val samples: what chooses the best checkpoint."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from components.models.card import GenerateConfig
from components.models.trained import Trained
from components.networks.lite0 import Lite0Whole
from components.objectives.kernel_distance import kernel_distance
from components.samples.domain import Domain, sized
from components.samples.task import Task
from components.shards.reader import Split
from components.shards.writer import write_set
from components.systems import build
from components.systems.translation.cyclegan import CycleGANConfig
from components.training import log, quality
from components.training.config import TrainConfig
from components.training.export import export_run
from components.training.group import Group
from components.training.loop import fit
from components.training.run import Run, plan
from components.training.trainer import Trainer
from components.training.validation import Validation
from tests.conftest import TO_LABELS, tiny_sample, write_tiny
from tests.reliability import ranks
from tests.training.helpers import small_run


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """18 val samples, which neither two ranks nor batches of 16 share evenly."""
    return write_tiny(tmp_path_factory.mktemp("quality") / "shards", counts=(8, 18, 2))


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory) -> Run:
    run = small_run(shards, tmp_path_factory.mktemp("runs"), norm="batch", ema=0.5, keep_checkpoints=9, steps=9)
    fit(run, Group())
    return run


def features(pictures: list[np.ndarray]) -> torch.Tensor:
    with torch.inference_mode():
        return Lite0Whole(128)(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))[0]


def kid_of(run: Run, weights: dict[str, torch.Tensor], shards: Path) -> float:
    """Of all val pictures, made as `generate` makes them."""
    lineage = {"checkpoint": "last", "step": 0, "key": run.key}
    generator = Trained(weights, run.system, run.shape(), run.task, GenerateConfig(), lineage).generators()[0]
    val = Split(shards, "val")
    sources, real = ([val.picture(i, name) for i in range(len(val))] for name in run.task.domains)
    return float(kernel_distance(features(list(generator.translate(np.stack(sources)))), features(real)))


def test_each_checkpoint_has_the_kid_of_what_its_generator_makes_and_the_lowest_is_the_best(trained, shards, tmp_path):
    found = {each.step: each.score for each in trained.checkpoints.all()}
    assert list(found) == [3, 6, 9]
    for each in trained.checkpoints.all():
        assert each.score == pytest.approx(kid_of(trained, each.weights(), shards), rel=1e-4)
    assert len(set(found.values())) == 3
    assert trained.checkpoints.best().step == min(found, key=found.get)
    export_run(trained, tmp_path / "out")
    with (tmp_path / "out/validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["step", "kid", "l1"]
    assert {int(row["step"]): float(row["kid"]) for row in rows} == found
    best = json.loads((tmp_path / "out/run.json").read_text())["checkpoints"]["best"]
    assert best["score"] == min(found.values())


def test_a_run_that_stops_on_its_way_has_the_same_kids(trained, shards, tmp_path):
    run = small_run(shards, tmp_path, norm="batch", ema=0.5, keep_checkpoints=9, steps=9)
    assert run.key == trained.key
    fit(run, Group(), until=3)
    fit(run, Group())
    whole, stopped = (log.table(log.read(each.folder), "validation") for each in (trained, run))
    assert whole == stopped
    assert run.checkpoints.best().step == trained.checkpoints.best().step


def validate(group: Group, run: Run, folder: Path) -> None:
    torch.manual_seed(0)
    system = build(run.system, run.shape())
    validation = Validation(run, run.shape(), Trainer(system, run.train, 1, group), group)
    twice = [validation.measure() for _ in range(2)]
    (folder / f"{group.world}_{group.rank}.json").write_text(json.dumps(twice))


def test_any_number_of_ranks_finds_the_same(shards, tmp_path):
    run = small_run(shards, tmp_path / "runs")
    validate(Group(), run, tmp_path)
    ranks.together(3, tmp_path, validate, run, tmp_path)
    (alone, again), *others = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1_0", "3_0", "3_1", "3_2")
    )
    assert alone == again
    assert 0 < alone["kid"] < 10
    assert others[0] == others[1] == others[2]
    assert others[0][0]["kid"] == pytest.approx(alone["kid"], rel=1e-6)


def test_where_a_system_makes_pictures_both_ways_the_mean_counts(tmp_path):
    domains = {name: Domain(kind="image") for name in ("photo", "negative")}
    task = Task(source="photo", target="negative")
    photos = [tiny_sample(seed)["photo"] for seed in range(20)]
    samples = [(f"s{i:02d}", {"photo": photo, "negative": 255 - photo}) for i, photo in enumerate(photos)]
    splits = {"train": samples[:2], "val": samples[2:], "test": samples[:2]}
    shards = tmp_path / "shards"
    write_set(shards, "tiny", sized(domains, (32, 32)), task, splits)
    settings = {"generator": {"name": "resnet", "width": 2, "blocks": 1}, "discriminator": {"width": 4}}
    system = CycleGANConfig(lambda_identity=0, patch_size=16, **settings)
    run = plan(system, TrainConfig(steps=1, batch_size=2), shards, tmp_path)
    fit(run, Group())
    last = run.checkpoints.last()
    lineage = {"checkpoint": "last", "step": 1, "key": run.key}
    ways = Trained(last.weights(), run.system, run.shape(), run.task, GenerateConfig(), lineage).generators()
    each = []
    for way in ways:
        sources, real = ([sample[name] for _, sample in splits["val"]] for name in way.card.task.domains)
        each.append(float(kernel_distance(features(list(way.translate(np.stack(sources)))), features(real))))
    assert len(each) == 2
    assert last.score == pytest.approx(sum(each) / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("task", "settings", "counts", "said"),
    [
        (None, {}, (8, 15, 2), ["15", "16"]),
        (None, {"validation_samples": 8}, (8, 18, 2), ["8", "16"]),
        (None, {"best_by": "validation"}, (8, 18, 2), []),
        (TO_LABELS, {}, (8, 18, 2), []),
    ],
    ids=["few val samples", "few validation_samples", "as the params say", "labels"],
)
def test_where_no_kid_is_taken_the_systems_own_metric_chooses(tmp_path, task, settings, counts, said):
    shards = write_tiny(tmp_path / "shards", counts=counts)
    run = small_run(shards, tmp_path / "runs", steps=1, **settings)
    run = plan(run.system, run.train, shards, tmp_path / "runs", task)
    notes = quality.notes(run, run.shape())
    assert len(notes) == bool(said)
    assert all(word in note for note in notes for word in said)
    fit(run, Group())
    (record,) = (record for record in log.read(run.folder) if "validation" in record)
    assert "kid" not in record["validation"]
    assert run.checkpoints.best().score == next(iter(record["validation"].values()))
