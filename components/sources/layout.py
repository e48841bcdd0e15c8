"""Which files make a sample, in the layouts of paired pictures."""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tqdm import tqdm

from components.faults import Fault
from components.samples.source import SPLITS, Unit
from components.sources.folder_config import FolderConfig
from components.sources.keys import sample_keys

_TRAIN, _VAL, _TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
ALIASES = {name: split for split, names in zip(SPLITS, (_TRAIN, _VAL, _TEST), strict=True) for name in names}
UNPAIRED = {f"{name}{side}" for name in ALIASES for side in "AB"}
AnyUnit = TypeVar("AnyUnit", bound=Unit)


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one sample, below the folder of pictures; side by side, both are one file.

    An empty name stands for a partner that is missing.
    """

    key: str
    a: str
    b: str


def find_pairs(pictures: Path, config: FolderConfig) -> dict[str, list[Pair]]:
    """The pairs of each split, sorted by key; val and test, where not found, are held out of train.

    Raises:
        Fault: the layout is another one.
    """
    sides = {config.a.folder or "A": "a", config.b.folder or "B": "b"}
    names = {**ALIASES, **config.splits}
    base = descend(pictures, set(names) | set(sides))
    files = files_below(base)
    tops = {PurePosixPath(name).parts[0] for name in files if "/" in name}
    if unpaired := sorted(tops & UNPAIRED):
        raise Fault(
            f"fetch.layout: {config.layout} wants pairs, and {', '.join(unpaired)} hold unpaired pictures; "
            "make the layout unpaired"
        )
    grouped = _folders(files, sides, names) if config.layout == "folders" else _side_by_side(files, names)
    if unknown := set(config.splits) - {split_folder(place) for place in grouped}:
        found = ", ".join(sorted(tops)) or "none"
        raise Fault(f"fetch.splits: no pictures in a folder {sorted(unknown)[0]}; folders found: {found}")
    if not grouped:
        wanted = " and ".join(f"{side}/" for side in sides) if config.layout == "folders" else "train/"
        found = ", ".join(sorted(tops)) or "none"
        raise Fault(f"fetch.layout: no pictures in {wanted} (layout {config.layout}); folders found: {found}")
    refuse_poured({split_folder(place) for place in grouped}, config)
    prefix = base.relative_to(pictures)
    splits: dict[str, list[Pair]] = {split: [] for split in SPLITS}
    for key, (place, pair) in zip(sample_keys(list(grouped)), grouped.items(), strict=True):
        a, b = (str(prefix / name) if name else "" for name in pair)
        splits[names.get(split_folder(place), "train")].append(Pair(key, a, b))
    ordered = {split: sorted(pairs, key=lambda pair: pair.key) for split, pairs in splits.items()}
    return hold_out(ordered, config.holdout)


def hold_out(splits: Mapping[str, list[AnyUnit]], share: float) -> dict[str, list[AnyUnit]]:
    """Fill an empty val or test with a share of train: the samples whose keys have the lowest sha256.

    The choice depends on the keys alone. At least one sample each; nothing where train would be left empty.
    """
    done = dict(splits)
    train = sorted(done["train"], key=lambda unit: hashlib.sha256(unit.key.encode()).digest())
    count = max(1, round(share * len(train)))
    for split in ("val", "test"):
        if not done[split] and len(train) > count:
            done[split], train = sorted(train[:count], key=lambda unit: unit.key), train[count:]
    return done | {"train": sorted(train, key=lambda unit: unit.key)}


def descend(folder: Path, stop: set[str]) -> Path:
    """Descend through folders that contain only one folder, as archives often do."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].name in stop | UNPAIRED:
            return folder
        folder = inside[0]


def files_below(base: Path) -> list[str]:
    """Every file below a folder by its path from there, sorted."""
    return sorted(path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())


def split_folder(place: str) -> str:
    """The first folder of a path; none of a file that lies in no folder, though it be called test.png."""
    first, slash, _ = place.partition("/")
    return first if slash else ""


def _side_by_side(files: Sequence[str], names: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """SPLIT/name -> the one file, twice."""
    return {place: (file, file) for place, file in named(within_splits(files, names)).items()}


def within_splits(files: Sequence[str], names: Mapping[str, str]) -> Sequence[str]:
    """The files in split folders, and a line about the others; all files if there are no split folders."""
    inside = [name for name in files if split_folder(name) in names]
    say_outside(files, inside or files, names)
    return inside or files


def say_outside(files: Sequence[str], taken: Iterable[str], names: Iterable[str]) -> None:
    """Say how many pictures belong to no split and no side, and name one."""
    outside = sorted(set(files) - set(taken))
    if outside:
        there = " ".join(f"{name}/" for name in sorted({split_folder(file) for file in taken} & set(names)))
        places = there or "the folders of samples"
        line = f"{len(outside)} pictures lie outside of {places} and are passed over, such as {outside[0]}"
        tqdm.write(line, file=sys.stderr)


def refuse_poured(folders: Iterable[str], config: FolderConfig) -> None:
    """Refuse two folders that would become one split, unless the params name both for it.

    Raises:
        Fault: naming them, and the param.
    """
    names = {**ALIASES, **config.splits}
    for split in SPLITS:
        poured = sorted({folder for folder in folders if names.get(folder) == split})
        if len(poured) > 1 and not config.splits.keys() >= set(poured):
            raise Fault(
                f"fetch.splits: the folders {' and '.join(poured)} would together be the {split} split; name each of "
                f"them there, such as {{{', '.join(f'{folder}: {split}' for folder in poured)}}} if that is meant"
            )


def named(files: Sequence[str]) -> dict[str, str]:
    """Each file by its path without the ending; 1.png beside 1.jpg are two samples, and keep theirs.

    So does 1.png.jpg beside them, which without its ending would be called as the first.
    """
    stems, whole = Counter(_stem(name) for name in files), set(files)
    return {(stem if stems[stem := _stem(name)] == 1 and stem not in whole else name): name for name in files}


def _folders(files: Sequence[str], sides: Mapping[str, str], names: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """[SPLIT/]name -> (file of A, file of B), for A/SPLIT/name, SPLIT/A/name and A/name.

    Raises:
        Fault: one side has two files of a name.
    """
    found: dict[str, dict[str, str]] = {}
    for file in files:
        first, *rest = file.split("/")
        if first in sides and rest:
            side, place = sides[first], "/".join(rest)
        elif first in names and len(rest) > 1 and rest[0] in sides:
            side, place = sides[rest[0]], "/".join([first, *rest[1:]])
        else:
            continue
        pair = found.setdefault(_stem(place), {})
        if side in pair:
            raise Fault(f"{file}: {pair[side]} has the same name except for the ending; remove one of them")
        pair[side] = file
    say_outside(files, [file for pair in found.values() for file in pair.values()], names)
    return {place: (pair.get("a", ""), pair.get("b", "")) for place, pair in sorted(found.items())}


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
