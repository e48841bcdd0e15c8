"""A small study on generated pictures."""

from pathlib import Path
from random import Random

import numpy as np

from components.models.card import CARD, Card
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.writer import write_set
from components.storage.files import write_json
from components.study.algorithms import Algorithm, open_algorithms
from components.study.config import Settings
from components.study.shown import ShownPictures
from components.study.study import Study
from components.study.votes import Votes
from tests.conftest import TO_PHOTO
from tests.stage_outputs import SYSTEM

SMALL = Settings(practice=2, trials=6, vigilance=2, max_missed=0, participants=20)


def write_generated(folder: Path, shards: Path, shift: int) -> Path:
    """What generate leaves, without weights: the true photos made lighter by `shift` grey levels and noisy."""
    manifest, test = Manifest.read(shards), Split(shards, Manifest.read(shards).side("test", "photo"))
    sources = Split(shards, manifest.side("test", "labels"))
    random = np.random.default_rng(shift)
    made = []
    for i, key in enumerate(sources.keys):
        photo = test.picture(i, "photo").astype(int) + shift + random.integers(-20, 21, test.domains["photo"].shape)
        made.append((key, {"photo": photo.clip(0, 255).astype(np.uint8)}))
    out = folder / "labels_to_photo"
    write_set(
        out,
        "tiny",
        {"photo": manifest.domains["photo"]},
        TO_PHOTO,
        {"test": made},
    )
    card = Card(
        system=SYSTEM,
        use="generator",
        source=manifest.domains["labels"],
        target=manifest.domains["photo"],
        task=TO_PHOTO,
        mode="eval",
        batch_size=4,
        checkpoint="last",
        step=40,
        key=f"{shift:016d}",
        weights_sha256=f"{shift:064d}",
    )
    write_json(out / CARD, card.model_dump(mode="json"))
    return folder


def no_store() -> None:
    """Stands where a registry would be opened."""
    raise AssertionError("no version was named")


def open_tiny(root: Path, shards: Path, count: int = 1) -> tuple[list[Algorithm], ShownPictures]:
    """So many algorithms, named a, b …, and their pictures."""
    named = [f"{name}={write_generated(root / name, shards, 10 + 5 * i)}" for i, name in enumerate("abcd"[:count])]
    algorithms = open_algorithms(named, root, shards, None, root / "work", no_store)  # type: ignore[arg-type]
    return algorithms, ShownPictures(shards, algorithms)


def make_study(
    votes: Path,
    opened: tuple[list[Algorithm], ShownPictures],
    settings: Settings = SMALL,
    seed: int = 0,
    wait: float = 30,
) -> Study:
    """A study with its votes in a file."""
    return Study(settings, *opened, Votes(votes, wait), Random(seed))
