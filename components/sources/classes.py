"""Which files are samples of which class: pictures in a folder a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from components.faults import Fault
from components.samples.source import SPLITS
from components.sources.folder_config import FolderConfig
from components.sources.keys import sample_keys
from components.sources.layout import ALIASES, descend, files_below, hold_out, named, refuse_poured, say_outside


@dataclass(frozen=True, slots=True)
class Classed:
    """The file of one sample, below the folder of pictures, and the index of its class."""

    key: str
    file: str
    kind: int


def find_classes(pictures: Path, config: FolderConfig) -> dict[str, list[Classed]]:
    """The samples of each split, sorted by key, of NAME/1.png or SPLIT/NAME/1.png; val and test, where not found, are
    held out of train, of each class alike.

    Raises:
        Fault: a folder is no class of `fetch.b.classes`, or a class has no picture to train on.
    """
    names, classes = {**ALIASES, **config.splits}, config.b.classes
    base = descend(pictures, {*names, *classes})
    files = files_below(base)
    found: dict[str, tuple[str, str]] = {}  # file -> (split folder or none, class)
    for file in files:
        folders = PurePosixPath(file).parts[:-1]
        split, inside = (folders[0], folders[1:]) if folders and folders[0] in names else ("", folders)
        if inside:
            found[file] = split, inside[0]
    say_outside(files, found, names)
    there = sorted({kind for _, kind in found.values()})
    if strangers := [kind for kind in there if kind not in classes]:
        raise Fault(
            f"fetch.b.classes: the folder {strangers[0]} is not among the classes; the folders that hold pictures are "
            f"[{', '.join(there)}]"
        )
    refuse_poured({split for split, _ in found.values()}, config)
    prefix, places = base.relative_to(pictures), named(list(found))
    sorted_by: dict[tuple[str, int], list[Classed]] = {
        (split, kind): [] for split in SPLITS for kind in range(len(classes))
    }
    for key, file in zip(sample_keys(list(places)), places.values(), strict=True):
        split, kind = found[file]
        one = Classed(key, str(prefix / file), classes.index(kind))
        sorted_by[names.get(split, "train"), one.kind].append(one)
    return _held_out(sorted_by, classes, config.holdout)


def _held_out(
    found: dict[tuple[str, int], list[Classed]], classes: Sequence[str], share: float
) -> dict[str, list[Classed]]:
    """Each class's own val and test, or, where no folder is that split, a share of its train."""
    splits: dict[str, list[Classed]] = {split: [] for split in SPLITS}
    given = {split for (split, _), ones in found.items() if ones} - {"train"}
    for kind, name in enumerate(classes):
        train = found["train", kind]
        if not train:
            raise Fault(f"fetch.b.classes: {name} has no picture in train; give it some, or take it out of the classes")
        own = {split: found[split, kind] for split in given}
        held = hold_out({split: train if split == "train" or split in given else [] for split in SPLITS}, share)
        for split in SPLITS:
            splits[split] += own.get(split, held[split])
    return {split: sorted(ones, key=lambda one: one.key) for split, ones in splits.items()}
