"""A set whose targets are four times as large as their sources."""

from pathlib import Path

import numpy as np
from PIL import Image

from components.samples.domain import Domain
from components.samples.task import Task
from components.shards.writer import write_set
from components.tasks.degrade import small

TASK, TIMES = Task(source="small", target="photo"), 4
DOMAINS = {"small": Domain(kind="image", size=(8, 12)), "photo": Domain(kind="image", size=(32, 48))}


def write_enlarged(root: Path, counts: tuple[int, int, int] = (8, 4, 6)) -> Path:
    """Smooth photos, and a quarter of each side of them; so many of train, val and test."""
    random = np.random.default_rng(0)

    def sample() -> dict[str, np.ndarray]:
        coarse = Image.fromarray(random.integers(0, 256, (11, 16, 3), dtype=np.uint8))
        photo = np.asarray(coarse.resize((48, 32), Image.Resampling.BICUBIC))
        return {"small": small(photo, TIMES), "photo": photo}

    names = dict(zip(("train", "val", "test"), counts, strict=True))
    splits = {name: [(f"{name}{i}", sample()) for i in range(count)] for name, count in names.items()}
    write_set(root, "made", DOMAINS, TASK, splits)
    return root
