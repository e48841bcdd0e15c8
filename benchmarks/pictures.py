"""docs/images/results.png: test samples at even steps through the split, as they stand in data/ after `dvc repro`."""

from pathlib import Path

import numpy as np

from components.shards.reader import Split
from components.systems.translator import read_cards
from components.tasks.encoding import render
from components.training.validation import save_grid

COUNT, SCALE = 12, 2


def main() -> None:
    """Write the grid: sources, generated, true."""
    first = read_cards(Path("data/generated"))[0]
    test, generated = Split(Path("data/shards"), "test"), Split(Path("data/generated") / first.direction, "test")
    source, target = first.task
    indices = [int(index) for index in np.linspace(0, len(test) - 1, COUNT + 2)[1:-1]]
    rows = []
    for split, domain in ((test, source), (generated, target), (test, target)):
        pictures = render(split.domains[domain], np.stack([split.picture(index, domain) for index in indices]))
        rows.append(pictures.repeat(SCALE, axis=1).repeat(SCALE, axis=2))
    save_grid(Path("docs/images/results.png"), tuple(rows))


if __name__ == "__main__":
    main()
