"""A folder of photos with attributes.csv, the graph run on it, and what the commands take."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.pages.demo.models import Model, load_models
from components.params import Params
from components.stage import Clock
from components.storage.home import LOCAL
from components.tracking.store import open_store, tracking_uri
from components.tracking.versions import find_version
from pipelines import evaluate, fetch, generate, judge, register, report, shard, train, tune
from tests.test_graph import SMALL

NAMES = ("bright", "red", "framed")
JUDGED = {"steps": 40, "batch_size": 24, "learning_rate": 0.01}
CGAN = {"name": "cgan", "latent": 8, "networks": {"name": "convolutions", "width": 4}}
STAR_GAN = {"name": "star_gan", "width": 4, "blocks": 1, "critic_width": 4, "num_critic": 2}


def photo(bright: int, red: int, framed: int, seed: int = 0) -> np.ndarray:
    """A photo with these attributes, uint8 (32, 32, 3)."""
    random = np.random.default_rng(seed)
    picture = np.full((32, 32, 3), 170.0 if bright else 60.0) + random.normal(0, 6, (32, 32, 3))
    if red:
        picture[10:22, 10:22] = (220, 30, 30)
    if framed:
        picture[:3], picture[-3:], picture[:, :3], picture[:, -3:] = 0, 0, 0, 0
    return picture.clip(0, 255).astype(np.uint8)


def write_pictures(root: Path, counts: tuple[int, int, int] = (24, 8, 8), constant: bool = False) -> Path:
    """Photos of every combination of the attributes in turn, and their table; `constant`: none of train is framed."""
    lines = [["picture", "framed", "red", "bright"]]
    for s, split in enumerate(("train", "val", "test")):
        (root / split).mkdir(parents=True)
        for i in range(counts[s]):
            look = [i % 2, i // 2 % 2, 0 if constant and split == "train" else i // 4 % 2]
            Image.fromarray(photo(*look, seed=100 * s + i)).save(root / split / f"{split}_{i:02d}.png")
            lines.append([f"{split}/{split}_{i:02d}.png", *look[::-1]])
    with (root / "attributes.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
    return root


def params_of(folder: Path, system: dict[str, object], **more: object) -> Params:
    look = {"name": "look", "classes": list(NAMES)}
    own = {
        "fetch": {"name": "folder", "path": str(folder), "layout": "attributes", "a": {"name": "photo"}, "b": look},
        "shard": {"cut": {"name": "folder", "image_size": 32}},
        "system": system,
        "train": {"num_workers": 0, "steps": 2, "batch_size": 4, "checkpoint_every": 2, "ema": 0.5},
        "tune": {"space": {"train.learning_rate": {"choice": [1e-4, 1e-3]}}, "num_trials": 0},
        "judge": {"system": {"name": "classifier", "width": 8, "dropout": 0}, "train": JUDGED},
        "generate": {"batch_size": 4},
    }
    return Params.model_validate(SMALL | own | more)


def run_graph(folder: Path, system: dict[str, object]) -> None:
    """Every stage of the graph, in a folder of its own."""
    params = params_of(write_pictures(folder / "in"), system)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
            patch.delenv(name, raising=False)
        for stage in (fetch, shard, judge, tune, train, generate, evaluate, register, report):
            stage.main(params, Clock(stage.__name__))


def measured_in(folder: Path) -> dict[str, object]:
    (measured,) = json.loads((folder / "data/metrics/rows.json").read_text()).values()
    return measured


def load_candidate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(folder)
    import mlflow.pyfunc

    mlflow.set_registry_uri(open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False).uri)
    return mlflow.pyfunc.load_model("models:/tiny@candidate")


def options(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that every command takes."""
    monkeypatch.chdir(folder)
    (tmp_path / "params.yaml").write_text(json.dumps(SMALL | {"register": {"model": "tiny"}}), encoding="utf-8")
    return ["--params", str(tmp_path / "params.yaml"), "--out", str(tmp_path / "out")]


def candidates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, list[Model]]:
    monkeypatch.chdir(folder)
    store = open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False)
    return store, load_models(store, [find_version(store, "tiny", "candidate")])
