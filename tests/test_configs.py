"""Every file of configs/ about pictures of one's own, on a small folder of the whole published layout."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from components.fragment import take
from components.params import Params, load_params
from components.plan import _asked, check_plan
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder
from components.systems import build
from components.systems.system import Shape
from components.training.optimizers import settled
from components.training.run import as_seen, asked_of

ROOT = Path(__file__).parents[1]
# The folders that the data sets have as they are published, with so many pictures each, and the splits they become.
PUBLISHED = {
    "facades": ({"train": 9, "val": 3, "test": 4}, {"train": 9, "val": 3, "test": 4}),
    "maps": ({"train": 20, "val": 5}, {"train": 18, "val": 2, "test": 5}),
    "edges2shoes": ({"train": 200, "val": 4}, {"train": 198, "val": 2, "test": 4}),
    "cityscapes": ({"train": 20, "val": 5}, {"train": 18, "val": 2, "test": 5}),
    "unpaired": (
        {"trainA": 20, "trainB": 30, "testA": 4, "testB": 5},
        {"train/horse": 18, "train/zebra": 27, "val/horse": 2, "val/zebra": 3, "test/horse": 4, "test/zebra": 5},
    ),
    "photos": ({"train": 9, "val": 3, "test": 4}, {"train": 9, "val": 3, "test": 4}),
}


def of_own_pictures() -> set[str]:
    """The names of the files of configs/ that fetch a folder."""
    files = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "configs").glob("*.yaml")}
    return {name for name, config in files.items() if config.get("fetch", {}).get("name") == "folder"}


def test_no_config_is_left_out():
    assert of_own_pictures() == PUBLISHED.keys()


def taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The params after `pix2pipe use configs/NAME.yaml`."""
    monkeypatch.chdir(tmp_path)
    defaults = (ROOT / "params.yaml").read_text(encoding="utf-8")
    fragment = (ROOT / f"configs/{name}.yaml").read_text(encoding="utf-8")
    text, _ = take(defaults, fragment, defaults, name)
    target = tmp_path / "params.yaml"
    target.write_text(text, encoding="utf-8")
    return load_params(target)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs/systems").glob("*.yaml")))
def test_an_example_does_not_take_the_default_systems_optimizer(name, tmp_path, monkeypatch):
    """The learning rate and the betas of params.yaml are the default system's."""
    params = taken(f"systems/{name}", tmp_path, monkeypatch)
    given = yaml.safe_load((ROOT / f"configs/systems/{name}.yaml").read_text(encoding="utf-8"))["train"]
    shown = _asked(params)
    task = asked_of(params.system, params.train.task or shown.task)
    source, target, asked = (
        None if each is None else as_seen(shown.domains[each], params.train)
        for each in (task.source, task.target, task.condition)
    )
    assert target is not None
    with torch.device("meta"):
        published = build(params.system, Shape(source, target, asked=asked)).published
    used = settled(published, params.train)
    assert "learning_rate" in given
    assert used.optimizer != "adam" or "betas" in given or used.betas == published.betas


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_config_takes_the_published_layout_as_it_is(name, tmp_path, monkeypatch):
    params, (folders, splits) = taken(name, tmp_path, monkeypatch), PUBLISHED[name]
    check_plan(params)
    assert isinstance(params.fetch, FolderConfig)
    random = np.random.default_rng(0)
    colours = np.array([colour for side in params.fetch.sides for colour in side.palette.values()] or [[0, 0, 0]])
    for folder, count in folders.items():
        for number in range(count):
            photo = random.integers(0, 256, (16, 16, 3))
            beside = colours[random.integers(0, len(colours), (16, 16))] if len(colours) > 1 else photo[::-1]
            whole = np.concatenate([photo, beside], axis=1) if params.fetch.layout == "side_by_side" else photo
            path = tmp_path / "published" / folder / f"{number + 1}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(whole.astype(np.uint8)).save(path)
    config = params.fetch.model_copy(update={"path": str(tmp_path / "published")})
    fetch_folder(config, tmp_path / "raw", tmp_path / "cache")
    source = open_folder(tmp_path / "raw", params.shard.cut)
    assert {split: len(units) for split, units in source.splits.items()} == splits
    for units in source.splits.values():
        assert set(source.read(units[0])) <= set(source.domains)
