"""The tables of modes: cells of points from a ring and a grid in one set of shards, and the sheet of every seed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from components.params import load_tables
from components.shards.config import ShardConfig
from components.shards.writer import write_shards
from components.sources.points import PointsConfig, PointsCut, fetch_points, open_points
from components.stage import Clock
from components.storage.files import write_json
from pipelines import cell, tables

ROOT = Path(__file__).parent.parent
SIDE = 200


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards of both, no judge, and the project's own params with runs of two steps and two seeds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIX2PIPE_ROOT", raising=False)
    fetch_points(PointsConfig(), tmp_path / "raw", tmp_path / "cache")
    source = open_points(tmp_path / "raw", PointsCut(shape="both", train=48, val=8, test=400))
    write_shards(source, tmp_path / "data/shards", ShardConfig(num_workers=1, samples_per_shard=100))
    write_json(tmp_path / "data/judge/judge.json", {"skipped": "judge.system is null"})
    values = yaml.safe_load((ROOT / "tables/points.yaml").read_text(encoding="utf-8"))
    values["cells"] = {"run": ["gan_ring", "mgan_ring", "gan_grid"], "seed": [0, 1]}
    values["train"] |= {"steps": 2, "batch_size": 16, "checkpoint_every": 2}
    values["generate"]["count"] = 60
    params = tmp_path / "tables/params.yaml"
    params.parent.mkdir()
    params.write_text(yaml.safe_dump(values), encoding="utf-8")
    return params


def test_modes_are_told_for_either_density_beside_the_densities_own(project: Path):
    params = load_tables(project)
    for run in params.cells.run:
        for seed in params.cells.seed:
            cell.main(project, run, seed, Clock("cell"))
    tables.main(params)
    out = Path("tables/data/tables")
    papers = {"points_ring": {"modes": 1, "high quality": 0.993}, "points_grid": {"modes": 3.3, "high quality": 0.005}}
    for name, modes in (("points_ring", 8), ("points_grid", 25)):
        rows = {row["row"]: row for row in json.loads((out / f"{name}.json").read_text(encoding="utf-8"))["rows"]}
        real = rows["points of the density"]["figures"]
        assert real["modes"]["mean"] == modes
        assert real["high_quality"]["mean"] > 0.95
        assert rows["GAN"]["figures"]["modes"]["seeds"] == 2
        assert 0 <= rows["GAN"]["figures"]["mode_kl"]["mean"] <= np.log(modes)
        assert rows["GAN"]["paper"] == papers[name]
        assert rows["DRAGAN"]["note"] == "not run"
    text = (out / "points_ring.md").read_text(encoding="utf-8")
    assert "| points of the density | 8.0 | " in text
    assert "mode KL" in text
    first = json.loads(Path("tables/data/cells/gan_ring-0.json").read_text(encoding="utf-8"))
    assert first["strips"] == ["ring"]
    with Image.open(out / "points_ring.png") as sheet, Image.open("tables/data/cells/gan_ring-1.png") as points:
        assert points.size == (SIDE, SIDE)
        assert sheet.height == 3 * (SIDE + 2)  # GAN, MGAN and the density's own points
        pixels = np.asarray(sheet)[:SIDE]
        assert np.array_equal(pixels[:, -SIDE:], np.asarray(points)), "the last seed of the first row"
    shutil.rmtree("tables/data")
