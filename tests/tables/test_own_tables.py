"""The project's tables from noise: their runs can take a step, and differ in what the table is about."""

from pathlib import Path

import pytest
import torch

from components.params import load_tables, run_params
from components.samples.domain import Domain
from components.systems import build
from components.systems.generation.unrolled_gan import UnrolledGANConfig
from components.systems.system import Batch, Moment, Shape, System
from components.tables.config import RunParams

TABLES = Path(__file__).parents[2] / "tables"
SIDES = {"losses": 32, "tricks": 64, "stacked": 28}
PICTURES = 4


def runs_of(name: str) -> dict[str, RunParams]:
    tables = load_tables(TABLES / f"{name}.yaml")
    assert set(tables.cells.run) == set(tables.runs)
    return {run: run_params(tables, run, name) for run in tables.runs}


def built(name: str, run: RunParams) -> System:
    side = SIDES[name]
    return build(run.system, Shape(None, Domain(kind="image", size=(side, side))))


@pytest.mark.parametrize("name", SIDES)
def test_every_run_can_take_a_step(name):
    side = SIDES[name]
    for label, run in runs_of(name).items():
        torch.manual_seed(0)
        system = built(name, run)
        batch: Batch = {"target": torch.rand(PICTURES, 3, side, side) * 2 - 1, "seeds": torch.arange(PICTURES)}
        for phase in system.phases:
            total = sum(phase.terms(system.networks, batch, Moment(0, 10, 0)).values())
            total.backward()
            assert total.isfinite(), f"{label}: {phase.name}"
            for network in phase.learns:
                gradients = [p.grad for p in system.networks[network].parameters()]
                assert any(g is not None and float(g.abs().sum()) > 0 for g in gradients), f"{label}: {network}"


def test_the_losses_have_one_network_and_one_budget():
    runs = runs_of("losses")
    pairs = {name: run for name, run in runs.items() if not name.startswith("began")}
    with torch.device("meta"):
        counts = {tuple(built("losses", run).num_parameters().items()) for run in pairs.values()}
    assert len(counts) == 1
    assert len(pairs) == 12
    assert {(run.train.steps, run.train.batch_size) for run in runs.values()} == {(1200, 64)}
    rates = sorted(run.train.learning_rate for run in runs.values())
    assert rates == [2e-4] * 7 + [1e-3] * 7  # an equal choice for each loss


def test_the_stacked_table_has_the_papers_networks():
    ahead = {}
    with torch.device("meta"):
        for name, run in runs_of("stacked").items():
            counts = built("stacked", run).num_parameters()
            assert counts == {"generator": 287_875, "discriminator": 585 if name.startswith("quarter") else 1_889}
            assert isinstance(run.system, UnrolledGANConfig)
            ahead[name] = run.system.num_unrolled
    assert ahead == {f"{size}_{steps}": steps for size in ("quarter", "half") for steps in (0, 1, 5, 10)}


def test_each_trick_is_the_only_thing_that_a_run_has_of_its_own():
    runs = runs_of("tricks")
    plain = runs["plain"].model_dump(mode="json")
    for name, run in runs.items():
        own = run.model_dump(mode="json")
        changed = {key for part in ("system", "train") for key in own[part] if own[part][key] != plain[part][key]}
        assert len(changed) == (0 if name == "plain" else 2 if name == "penalty" else 1), f"{name}: {changed}"
