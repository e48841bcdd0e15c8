"""The same picture in two splits or on two sides, planted at random in every layout: refused by name, each time."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.faults import Fault
from components.sources.fit import FolderCut
from components.sources.folder import fetch_folder
from components.sources.folder_config import FolderConfig
from components.sources.folder_cut import open_folder

CASES = 40  # of each layout, half of them with a leak
SPLITS = ("train", "val", "test")


def places(layout: str, split: str, number: int) -> list[str]:
    """The files of a sample."""
    return {
        "side_by_side": [f"{split}/{number}.png"],
        "folders": [f"{split}/A/{number}.png", f"{split}/B/{number}.png"],
        "unpaired": [f"{split}A/a{number}.png", f"{split}B/b{number}.png"],
        "photos": [f"{split}/{number}.png"],
    }[layout]


@pytest.mark.promise("30 one picture in two splits or on two sides, in every layout: refused, and both files named")
@pytest.mark.parametrize("layout", ["side_by_side", "folders", "unpaired", "photos"])
def test_a_planted_double_is_refused_by_name(tally, tmp_path, layout):
    for case in range(CASES):
        chance, root = random.Random(case), tmp_path / str(case)
        files: dict[str, bytes] = {}
        for split in SPLITS:
            for number in range(3):
                for file in places(layout, split, number):
                    files[file] = picture(chance)
        leaks = case % 2 == 0
        one, two = planted(chance, layout) if leaks else ("", "")
        if leaks:
            files[two] = files[one]
        for file, data in files.items():
            (root / "in" / file).parent.mkdir(parents=True, exist_ok=True)
            (root / "in" / file).write_bytes(data)
        config = {"name": "folder", "layout": layout, "path": str(root / "in"), "a": {"name": "a"}}
        fetch_folder(FolderConfig.model_validate(config), root / "raw", root / "cache")
        try:
            open_folder(root / "raw", FolderCut(name="folder", image_size=8))
            refused = ""
        except Fault as fault:
            refused = str(fault)
        tally.count((one in refused and two in refused) if leaks else not refused, f"{layout}, {one}, {two}: {refused}")


def planted(chance: random.Random, layout: str) -> tuple[str, str]:
    """Two files that must not be one picture: in two splits and, without pairs, on two sides."""
    one, two = chance.sample(SPLITS, 2)
    side = chance.randrange(2) if layout in ("folders", "unpaired") else 0
    other = 1 - side if layout == "unpaired" and chance.random() < 0.5 else side
    return places(layout, one, chance.randrange(3))[side], places(layout, two, chance.randrange(3))[other]


def picture(chance: random.Random) -> bytes:
    """A PNG that no other case has."""
    from io import BytesIO

    values = np.random.default_rng(chance.getrandbits(64)).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def test_the_places_of_a_layout_are_found(tmp_path: Path):
    """Otherwise no case above could fail."""
    assert {layout: len(places(layout, "train", 0)) for layout in ("folders", "photos")} == {"folders": 2, "photos": 1}
