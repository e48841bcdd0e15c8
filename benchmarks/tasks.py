"""docs/images/tasks_NAME.png: what each of configs/tasks asks, over Earth tiles and over the CMP facades.

Photos above, what is derived of them below, by the params of the config; inpainting shows both kinds of hole.
    python -m benchmarks.tasks --facades FOLDER      with data/raw/earth as `dvc repro fetch` leaves it
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import yaml

from components.params import ShardSection
from components.samples.source import Source
from components.sources import fetch, open_source
from components.sources.earth_cut import EarthCut
from components.sources.folder_config import FolderConfig, Side
from components.sources.folder_cut import FolderCut
from components.tasks.derived import derived
from components.training.validation import save_grid

COUNT, TILE, FACADE = 5, 64, 128


def main() -> None:
    """Write a picture for each config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="holds earth; default: data/raw")
    parser.add_argument("--facades", type=Path, required=True, help="the data set, photos on the left half")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sides = {"a": Side(name="photo"), "b": Side(name="drawn")}
        fetch(
            FolderConfig(name="folder", path=str(chosen.facades), splits={"val": "test"}, **sides),
            Path(name),
            Path(name),
        )
        sources = [
            open_source(chosen.raw, EarthCut(image_size=TILE)),
            open_source(Path(name), FolderCut(name="folder", image_size=FACADE)),
        ]
        for path in sorted(Path("configs/tasks").glob("*.yaml")):
            rows = [grid_rows(source, values) for source in sources for values in variants(path)]
            save_grid(Path(f"docs/images/tasks_{path.stem}.png"), merged(rows, len(variants(path))))


def variants(path: Path) -> list[dict]:
    """The config's `derive`, and for holes the other shape too."""
    ((name, values),) = yaml.safe_load(path.read_text())["shard"]["derive"].items()
    return [{name: values}, *([{name: values | {"shape": "free_form"}}] if "shape" in values else [])]


def grid_rows(source: Source, values: dict) -> tuple[np.ndarray, np.ndarray]:
    """Photos and what is derived of them, uint8 (COUNT, FACADE, FACADE, 3), smaller ones enlarged."""
    cut = {"name": "folder"} if source.name == "folder" else {"name": "earth"}
    whole = derived(source, ShardSection.model_validate({"cut": cut, "derive": values}).derive)
    units = whole.splits["test"]
    samples = [whole.read(units[int(i)]) for i in np.linspace(0, len(units) - 1, COUNT + 2)[1:-1]]
    photo, made = (np.stack([sample[name] for sample in samples]) for name in ("photo", next(iter(values))))
    scales = (FACADE // pictures.shape[1] for pictures in (photo, made))
    return tuple(
        pictures.repeat(scale, axis=1).repeat(scale, axis=2)
        for pictures, scale in zip((photo, made), scales, strict=True)
    )


def merged(rows: list[tuple[np.ndarray, np.ndarray]], count: int) -> tuple[np.ndarray, ...]:
    """The two sources side by side: their photos, then each of the `count` variants."""
    earth, facades = rows[:count], rows[count:]
    photos = np.concatenate([earth[0][0], facades[0][0]])
    return photos, *(np.concatenate([a[1], b[1]]) for a, b in zip(earth, facades, strict=True))


if __name__ == "__main__":
    main()
