"""Tables of tasks with other reference rows than labels and photos have: pictures that are enlarged, or from noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.faults import Fault
from components.params import load_tables
from components.stage import Clock
from components.storage.files import read_json, write_json
from pipelines import cell, tables
from tests.conftest import write_kinds
from tests.enlarged import write_enlarged

FID = "fid_efficientnet_lite0"
ENLARGED = {"name": "srgan", "width": 4, "blocks": 1, "resnet_share": 1, "norm": "none"}
FROM_NOISE = {"name": "dcgan", "latent": 8, "width": 4}


def cell_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Any], system: dict[str, Any], direction: str
) -> dict[str, Any]:
    """The tables' params, of one cell of two steps that is there."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PIX2PIPE_ROOT", raising=False)
    write(folder / "data/shards")
    write_json(folder / "data/judge/judge.json", {"skipped": "judge.system is null"})
    values = {
        "cells": {"run": ["one"], "seed": [0]},
        "system": system,
        "train": {"num_workers": 0, "steps": 2, "batch_size": 4, "checkpoint_every": 1},
        "generate": {},
        "evaluate": {"num_bootstrap": 40},
        "pictures": 2,
        "runs": {"one": {}},
        "tables": {"some": {"title": "A table", "direction": direction, "figures": [FID], "rows": {}}},
    }
    rows_of(values, ())
    cell.main(Path("tables/params.yaml"), "one", 0, Clock("cell"))
    return values


def rows_of(values: dict[str, Any], references: tuple[str, ...], *, made: bool = False) -> dict[str, dict[str, Any]]:
    """Write the params with these reference rows; if asked, make the table and give its rows."""
    rows = {"model": {"run": "one"}, **{name: {"reference": name} for name in references}}
    values["tables"]["some"]["rows"] = rows
    params = Path("tables/params.yaml")
    params.parent.mkdir(exist_ok=True)
    params.write_text(yaml.safe_dump(values), encoding="utf-8")
    if not made:
        return {}
    tables.main(load_tables(params))
    return {row["row"]: row["figures"] for row in read_json(Path("tables/data/tables/some.json"))["rows"]}


def test_a_table_of_enlarged_pictures_has_bicubic_and_no_input(tmp_path, monkeypatch):
    values = cell_of(tmp_path, monkeypatch, write_enlarged, ENLARGED, "small_to_photo")
    rows = rows_of(values, ("bicubic", "floor", "mean_colour"), made=True)
    assert all(FID in rows[name] for name in ("model", "bicubic", "floor", "mean_colour"))
    # A painter of one colour is farther from photos than the photos made larger again.
    assert rows["bicubic"][FID]["mean"] < rows["mean_colour"][FID]["mean"]
    with pytest.raises(Fault, match=r"no row input.* bicubic"):
        rows_of(values, ("input",), made=True)


def test_a_table_of_pictures_from_noise_has_no_rows_of_a_source(tmp_path, monkeypatch):
    values = cell_of(tmp_path, monkeypatch, write_kinds, FROM_NOISE, "photo")
    rows = rows_of(values, ("real", "floor"), made=True)
    assert rows["real"] == {}  # the distance of the real pictures to themselves is no figure
    assert rows["floor"][FID]["mean"] < rows["model"][FID]["mean"]
    values["best"] = True
    values["tables"]["some"]["figures"] = [FID, f"best_{FID}"]
    rows_of(values, ())
    for step, score in ((1, 0.1), (2, 0.2)):  # so the first of the two checkpoints is the best
        for path in Path(".pix2pipe").glob(f"runs/*/checkpoints/step_{step:08d}/checkpoint.json"):
            write_json(path, read_json(path) | {"score": score})
    cell.main(Path("tables/params.yaml"), "one", 0, Clock("cell"))
    made = read_json(Path("tables/data/cells/one-0.json"))
    assert made["steps"] == {"last": 2, "best": 1}
    figures = made["directions"]["photo"]["figures"]
    assert figures[FID]["value"] == rows["model"][FID]["mean"]
    assert figures[f"best_{FID}"]["value"] != figures[FID]["value"]
    again = rows_of(values, ("floor",), made=True)
    assert again["model"][f"best_{FID}"]["mean"] == figures[f"best_{FID}"]["value"]
    assert "FID EfficientNet-Lite0 of the best" in Path("tables/data/tables/some.md").read_text(encoding="utf-8")
    with pytest.raises(Fault, match=r"no row mean_colour.* real, floor"):
        rows_of(values, ("mean_colour",), made=True)
