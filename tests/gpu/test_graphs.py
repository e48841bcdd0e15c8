"""What holds on a GPU alone: run there with `pytest tests/gpu`."""

from pathlib import Path

import numpy as np
import pytest
import torch

from components.faults import Fault
from components.networks.noise import draw_rows
from components.samples.domain import Domain
from components.systems.system import Moment
from components.training.graphs import Graphs
from components.training.group import Group
from components.training.jitter import AugmentConfig, jitter
from components.training.loop import fit
from tests.systems.test_every_system import SMALL, run_of
from tests.training.helpers import weights_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CPU, GPU = torch.device("cpu"), torch.device("cuda")
STEPS, CUT = 8, 5
HOW = {"steps": STEPS, "checkpoint_every": STEPS, "device": "cuda", "deterministic": True, "graphs": "on"}


@pytest.mark.parametrize("name", SMALL)
def test_a_graph_gives_the_bits_of_the_eager_step_and_of_a_resumed_run(tiny_shards: Path, tmp_path: Path, name: str):
    ways = {"whole": {}, "eager": {"graphs": "off"}, "cut": {}, "host": {"cache": "host"}}
    runs = {way: run_of(name, tiny_shards, tmp_path / way, **HOW | changed) for way, changed in ways.items()}
    for way, run in runs.items():
        if way == "cut":
            fit(run, Group(device=GPU), CUT)
        fit(run, Group(device=GPU))
    whole = weights_of(runs.pop("whole"))
    for way, run in runs.items():
        weights = weights_of(run)
        assert weights.keys() == whole.keys()
        assert [key for key in whole if not torch.equal(whole[key], weights[key])] == [], way


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_noise_is_that_of_a_cpu(kind: str):
    seeds = torch.arange(64) * 7919 + 2**40
    here, there = (draw_rows(seeds, 5000, kind, device).cpu() for device in (CPU, GPU))
    assert (here - there).abs().max() <= (1e-6 if kind == "normal" else 0)


@pytest.mark.parametrize("resize", [None, 72])
def test_jitter_is_that_of_a_cpu(resize: int | None):
    random = np.random.default_rng(0)
    photos = torch.from_numpy(random.integers(0, 256, (16, 64, 64, 3)).astype(np.uint8))
    maps = torch.from_numpy(random.integers(0, 3, (16, 64, 64)).astype(np.uint8))
    labels = Domain(kind="label", classes=("a", "b", "c"), palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    config = AugmentConfig(resize=resize, vertical_flip=True)
    for domain, pictures, most in ((Domain(kind="image"), photos, 2 if resize else 0), (labels, maps, 0)):
        here, there = (
            jitter(pictures.to(device), domain, config, torch.arange(16, device=device)).cpu().int()
            for device in (CPU, GPU)
        )
        assert (here - there).abs().max() <= most


def test_a_step_that_looks_at_the_moment_stays_eager():
    graphs, required = Graphs(GPU), Graphs(GPU, required=True)

    def body(inputs, moment):
        return {"phase": (("value",), torch.stack([inputs["x"].sum() * moment.step, inputs["x"].sum()]))}

    for step in range(4):
        rows = graphs.run("kind", {"x": torch.ones(3)}, Moment(step, 4, 0), body)
        assert rows["phase"][1].tolist() == [3.0 * step, 3.0]
    assert "change with the step" in graphs.why
    with pytest.raises(Fault, match=r"train\.graphs"):
        required.run("kind", {"x": torch.ones(3)}, Moment(0, 4, 0), body)


def test_a_step_that_cannot_be_captured_stays_eager():
    graphs = Graphs(GPU)
    total = torch.zeros((), device=GPU)

    def body(inputs, _):
        total.add_(inputs["x"].sum().item())  # a look from the host
        return {"phase": (("value",), torch.stack([total, total]))}

    for step in range(4):
        rows = graphs.run("kind", {"x": torch.ones(3)}, Moment(step, 4, 0), body)
        assert rows["phase"][1].tolist() == [3.0 * (step + 1)] * 2
    assert "cannot be captured" in graphs.why
