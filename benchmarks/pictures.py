"""docs/images/results.png: test samples at even steps through the split, as they stand in data/ after `dvc repro`."""

import argparse
from pathlib import Path

import numpy as np

from components.models.card import read_cards
from components.shards.reader import Split
from components.tasks.encoding import render
from components.training.validation import save_grid

COUNT, SCALE = 12, 2


def main() -> None:
    """Write the grid: sources, generated, true."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/results.png"))
    parser.add_argument("--direction", type=int, default=0, help="of a system of two: 1 is the way back")
    arguments = parser.parse_args()
    card = read_cards(Path("data/generated"))[arguments.direction]
    test, generated = Split(Path("data/shards"), "test"), Split(Path("data/generated") / card.name, "test")
    source, target = card.task.source, card.task.target
    assert source is not None
    indices = [int(index) for index in np.linspace(0, len(test) - 1, COUNT + 2)[1:-1]]
    rows = []
    for split, domain in ((test, source), (generated, target), (test, target)):
        pictures = render(split.domains[domain], np.stack([split.picture(index, domain) for index in indices]))
        rows.append(pictures.repeat(SCALE, axis=1).repeat(SCALE, axis=2))
    save_grid(arguments.out, tuple(rows))


if __name__ == "__main__":
    main()
